// Replaying: screens are read again, so that a phrase that is known by now counts. Of the serial line
// only the end is kept, so its observations are read again line by line. Everything else is as it was
// observed. The verdict is asked for at the time when it was given, and then later and later, because
// what would be decisive today may be decisive only a moment after that.
#include "appliance/verify/verdict_case.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_access.h"

namespace appliance::verify {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

constexpr size_t kMaxScreens = 100;
constexpr size_t kMaxObservations = Evidence::kMaxWithKept;
constexpr size_t kMaxText = 1u << 20;  // bytes
constexpr uint64_t kReplayStepMs = 500;
constexpr uint64_t kReplaySteps = 2000;  // at most
constexpr base::JsonLimits kCaseLimits{.depth = 8, .size = kMaxCaseSize, .value_count = 200'000};

// Lines of consoles before and after, as rules keep them.
using KnownLines = std::map<std::string, std::string>;

void add_lines(KnownLines& known, const std::string& text, const std::vector<std::string>& names,
               const std::vector<std::string>& names_after, Anonymizer& anonymizer) {
  for (size_t i = 0; i < text.size();) {
    size_t end = std::min(text.find('\n', i), text.size());
    std::string line = text.substr(i, end - i);
    known.try_emplace(normalised_line(line, names),
                      normalised_line(anonymizer.clean(line), names_after));
    i = end + 1;
  }
}

// A line of a rule is what is left of a console's line. Replaced by itself it could become another one
// than what is left of the replaced line: a mail address is one word there, and two here.
void anonymize_lines(std::vector<std::string>& lines, const KnownLines& known,
                     Anonymizer& anonymizer) {
  for (std::string& line : lines) {
    auto found = known.find(line);
    line = found != known.end() ? found->second : anonymizer.clean(line);
  }
}

void anonymize_rules(std::vector<TaughtText>& rules, const KnownLines& known,
                     Anonymizer& anonymizer) {
  for (TaughtText& rule : rules) {
    anonymize_lines(rule.lines, known, anonymizer);
    anonymize_lines(rule.tolerated, known, anonymizer);
  }
}

std::string verdict_word(const json& object, const char* name) {
  std::string word = base::expect_text(object, name, 40);
  verdict_from_name(word);
  return word;
}

Observation read_again(Observation seen, std::string_view text, const TaughtTexts& taught) {
  TextReading reading = read_with_rules(text, taught);
  // What the kernel reports of a disk is an observation of its own.
  bool is_trouble = seen.meaning == TextMeaning::disk_error && !reading.disk_error.empty();
  seen.meaning = is_trouble ? TextMeaning::disk_error : reading.meaning;
  seen.detail = is_trouble ? reading.disk_error : reading.line;
  seen.subject = rule_subject(reading);
  return seen;
}

void insert_in_time(std::vector<Observation>& all, Observation seen) {
  auto after = std::find_if(all.begin(), all.end(),
                            [&](const Observation& each) { return each.at_ms > seen.at_ms; });
  all.insert(after, std::move(seen));
}

// Screens whose text means something else than the one before it, and disk errors on them.
void add_screens(const VerdictCase& seen, const TaughtTexts& taught,
                 std::vector<Observation>& all) {
  for (const CaseScreen& screen : seen.screens) {
    TextReading reading = read_with_rules(screen.text, taught);
    if (!reading.disk_error.empty()) {
      insert_in_time(all, {.at_ms = screen.at_ms,
                           .signal = Signal::screen,
                           .detail = reading.disk_error,
                           .meaning = TextMeaning::disk_error});
    }
    bool known = std::any_of(all.begin(), all.end(), [&](const Observation& each) {
      return each.signal == Signal::screen && each.at_ms == screen.at_ms &&
             each.meaning == reading.meaning;
    });
    if (known) continue;
    insert_in_time(
        all, read_again({.at_ms = screen.at_ms, .signal = Signal::screen}, screen.text, taught));
  }
}

Evidence read_anew(const VerdictCase& seen, const TaughtTexts& taught) {
  Evidence evidence = seen.judging.evidence;
  std::vector<Observation> all;
  for (const Observation& each : evidence.observations) {
    bool has_text =
        std::any_of(seen.screens.begin(), seen.screens.end(),
                    [&](const CaseScreen& screen) { return screen.at_ms == each.at_ms; });
    if (each.signal == Signal::screen && has_text) continue;  // from its text, below
    bool is_text = each.signal == Signal::screen || each.signal == Signal::serial;
    Observation again = is_text ? read_again(each, each.detail, taught) : each;
    // One line of several may mean less than all did.
    all.push_back(is_text && again.meaning <= TextMeaning::other ? each : std::move(again));
  }
  add_screens(seen, taught, all);
  TextReading serial = read_with_rules(seen.serial, taught);
  if (serial.rule != 0) {
    all.push_back({.at_ms = evidence.last_change_ms,
                   .signal = Signal::serial,
                   .subject = rule_subject(serial),
                   .detail = serial.line,
                   .meaning = serial.meaning});
  }
  evidence.observations = std::move(all);
  return evidence;
}

json rules_of(const std::vector<TaughtText>& rules) {
  Judging only;
  only.taught.rules = rules;
  return inputs_json(only)["rules"];
}

std::vector<TaughtText> read_rules(const json& object, const json& list) {
  json inputs = object;
  inputs["rules"] = list;
  Judging only;
  read_inputs(inputs, only);
  return only.taught.rules;
}

}  // namespace

void anonymize(VerdictCase& seen, Anonymizer& anonymizer) {
  const std::vector<std::string> names = seen.judging.taught.names;
  for (std::string& name : seen.judging.taught.names) name = anonymizer.clean(name);
  const std::vector<std::string>& names_after = seen.judging.taught.names;
  KnownLines known;
  for (const CaseScreen& each : seen.screens)
    add_lines(known, each.text, names, names_after, anonymizer);
  add_lines(known, seen.serial, names, names_after, anonymizer);
  anonymize_rules(seen.judging.taught.rules, known, anonymizer);
  anonymize_rules(seen.lesson, known, anonymizer);
  for (CaseScreen& each : seen.screens) each.text = anonymizer.clean(each.text);
  seen.serial = anonymizer.clean(seen.serial);
  for (Observation& each : seen.judging.evidence.observations) {
    each.detail = anonymizer.clean(each.detail);
    each.subject = anonymizer.clean(each.subject);
  }
  for (Expectation& each : seen.judging.expected) each.check = anonymizer.clean(each.check);
}

std::string case_text(const VerdictCase& seen) {
  json screens = json::array(), observations = json::array();
  for (const CaseScreen& each : seen.screens)
    screens.push_back({{"at_ms", each.at_ms}, {"text", each.text}});
  for (const Observation& each : seen.judging.evidence.observations)
    observations.push_back(observation_json(each));
  return base::dump_text({{"case", kCaseVersion},
                          {"label", seen.label},
                          {"said", seen.said},
                          {"corrected", seen.corrected},
                          {"inputs", inputs_json(seen.judging)},
                          {"lesson", rules_of(seen.lesson)},
                          {"observations", observations},
                          {"screens", screens},
                          {"serial", seen.serial}},
                         1) +
         "\n";
}

VerdictCase read_case(std::string_view text) {
  json object = base::parse_json(text, "the case", kCaseLimits);
  if (base::expect_natural(object, "case") != kCaseVersion) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("the case is of another version than {}", kCaseVersion));
  }
  VerdictCase seen;
  seen.label = verdict_word(object, "label");
  seen.said = verdict_word(object, "said");
  seen.corrected = base::expect_flag(object, "corrected");
  const json* inputs = base::find_field(object, "inputs");
  if (inputs == nullptr || !inputs->is_object())
    throw Error(ErrorCode::invalid_argument, "the case has no 'inputs'");
  read_inputs(*inputs, seen.judging);
  seen.lesson = read_rules(*inputs, base::expect_list(object, "lesson", kTaughtLines));
  for (const json& each : base::expect_list(object, "observations", kMaxObservations))
    seen.judging.evidence.observations.push_back(read_observation(each));
  for (const json& each : base::expect_list(object, "screens", kMaxScreens)) {
    seen.screens.push_back(
        {base::expect_natural(each, "at_ms"), base::expect_text(each, "text", kMaxText)});
  }
  seen.serial = base::expect_text(object, "serial", kMaxText);
  return seen;
}

std::optional<Verdict> replay(const VerdictCase& seen, Replay how) {
  TaughtTexts taught = seen.judging.taught;
  if (how == Replay::taught)
    taught.rules.insert(taught.rules.begin(), seen.lesson.begin(), seen.lesson.end());
  Evidence evidence = read_anew(seen, taught);
  const VerdictLimits& limits = seen.judging.limits;
  uint64_t step_ms = std::max(kReplayStepMs, limits.total_ms / kReplaySteps);
  uint64_t end_ms = seen.judging.judged_at_ms + limits.total_ms;
  for (uint64_t now = seen.judging.judged_at_ms; now <= end_ms; now += step_ms) {
    if (auto verdict = judge(evidence, seen.judging.expected, limits, now)) return verdict;
  }
  return std::nullopt;
}

}  // namespace appliance::verify
