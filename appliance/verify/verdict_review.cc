#include "appliance/verify/verdict_review.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/clean_text.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"

namespace appliance::verify {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

json kept_list(const std::string& text) {
  json list = base::find_json(text, base::kOwnJsonLimits).value_or(json::array());
  return list.is_array() ? list : json::array();
}

std::vector<std::string> kept_texts(const std::string& text) {
  std::vector<std::string> texts;
  for (const json& each : kept_list(text)) {
    if (each.is_string()) texts.push_back(each.get<std::string>());
  }
  return texts;
}

// Of an older version, or an image that was not started, there is none.
std::optional<Judging> judging_of(const catalog::Verification& seen) {
  return find_judging(seen.evidence, seen.judging);
}

const std::string& given_verdict(const catalog::Verification& seen) {
  return seen.correction ? seen.correction->given_verdict : seen.verdict;
}

void check_order(const catalog::Verification& seen, const CorrectionOrder& order) {
  if (order.verdict == VerdictKind::inconclusive) {
    throw Error(ErrorCode::invalid_argument,
                "a person's verdict is 'pass' or 'fail'; to take a correction back, withdraw it");
  }
  if (base::trim(order.reason).empty()) {
    throw Error(ErrorCode::invalid_argument,
                "a correction needs a reason, for those who read the report later");
  }
  if (order.reason.size() > VerdictReview::kMaxReason) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("the reason has {} bytes; at most {} are kept", order.reason.size(),
                            VerdictReview::kMaxReason));
  }
  if (!seen.correction && seen.verdict == verdict_name(order.verdict)) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("the verdict of test boot {} is {} already", seen.number, seen.verdict));
  }
}

std::string reasons_after(const catalog::Verification& seen,
                          const catalog::Correction& correction) {
  json reasons = json::array();
  reasons.push_back(fmt::format("{} corrected this from {} to {} on {}: {}",
                                correction.corrected_by, given_verdict(seen), correction.verdict,
                                base::format_time_ms(correction.corrected_ms), correction.reason));
  for (json& each : kept_list(seen.correction ? seen.correction->given_reasons : seen.reasons))
    reasons.push_back(std::move(each));
  return base::dump_text(reasons);
}

// From the newest screen that has a lesson in it; without a text that was asked for, only from the
// last one that could be read. Then from the end of the serial log.
Lesson lesson_of_texts(const std::vector<catalog::VerificationPicture>& pictures,
                       const std::string& serial, const LessonOptions& options) {
  Lesson first;
  bool has_text = false;
  for (auto picture = pictures.rbegin(); picture != pictures.rend(); ++picture) {
    if (base::trim(picture->text).empty()) continue;
    Lesson lesson = lesson_of(picture->text, options);
    if (!lesson.lines.empty()) return lesson;
    if (!has_text) first = std::move(lesson);
    has_text = true;
    if (options.only.empty()) break;
  }
  Lesson lesson = lesson_of(serial, options);
  return !lesson.lines.empty() || !has_text ? lesson : first;
}

// Trouble is looked for on both consoles: the serial line often has it alone.
Lesson find_lesson(const std::vector<catalog::VerificationPicture>& pictures,
                   const std::string& serial, const LessonOptions& options) {
  Lesson lesson = lesson_of_texts(pictures, serial, options);
  Lesson of_serial = lesson_of(serial, options);
  if (lesson.trouble.empty()) lesson.trouble = of_serial.trouble;
  for (std::string& each : of_serial.tolerated) {
    bool known =
        std::find(lesson.tolerated.begin(), lesson.tolerated.end(), each) != lesson.tolerated.end();
    if (!known && lesson.tolerated.size() < kToleratedLines)
      lesson.tolerated.push_back(std::move(each));
  }
  return lesson;
}

// What the lesson cannot change in the next test boot.
std::string limits_of_lesson(const std::optional<Judging>& judging, const CorrectionOrder& order) {
  if (!judging) return "";
  switch (judging->rule) {
    case VerdictRule::failure_text:
    case VerdictRule::waiting:
    case VerdictRule::still:
    case VerdictRule::time_over:
    case VerdictRule::up: return "";
    case VerdictRule::silent_check:
      return order.verdict == VerdictKind::pass
                 ? "What is required by 'muletto verify checks' stays required."
                 : "";
    default:
      return fmt::format(
          "This verdict was not decided by a text ({}): no text changes that rule, and the next "
          "test boot may say the same.",
          rule_name(judging->rule));
  }
}

std::string trouble_note(const Lesson& lesson, const CorrectionOrder& order) {
  if (lesson.trouble.empty() || order.verdict != VerdictKind::pass || order.outvote_trouble)
    return "";
  return fmt::format(
      "The console also has words of trouble (\"{}\"), which no taught text outvotes unless you "
      "say "
      "so (--outvote-trouble).",
      base::clean_text(lesson.trouble, kTaughtLineSize));
}

void add_sentence(std::string& note, const std::string& sentence) {
  if (sentence.empty()) return;
  note += (note.empty() ? "" : " ") + sentence;
}

}  // namespace

Explanation VerdictReview::explain(const access::TenantScope& scope, int64_t number) {
  Explanation explanation{catalog_.verification(scope, number), std::nullopt, std::nullopt};
  explanation.judging = judging_of(explanation.seen);
  if (explanation.judging && explanation.judging->rule != VerdictRule::not_started) {
    const Judging& judging = *explanation.judging;
    explanation.again =
        judge(judging.evidence, judging.expected, judging.limits, judging.judged_at_ms);
  }
  return explanation;
}

CorrectionResult VerdictReview::correct(const access::TenantScope& scope, int64_t number,
                                        const CorrectionOrder& order,
                                        const std::string& corrected_by) {
  catalog::Verification seen = catalog_.verification(scope, number);
  check_order(seen, order);
  catalog::Correction correction;
  correction.verdict = verdict_name(order.verdict);
  correction.reason = base::clean_text(base::trim(order.reason), kMaxReason);
  correction.corrected_by = corrected_by;
  correction.corrected_ms = base::now_ms();
  CorrectionResult result;
  std::vector<catalog::TaughtRule> rules;
  if (order.teach) {
    LessonOptions options{order.verdict == VerdictKind::pass, order.outvote_trouble,
                          order.only_text, names_of_machine(seen.machine_name)};
    Lesson lesson = find_lesson(catalog_.verification_pictures(number), seen.serial, options);
    if (lesson.lines.empty() && !order.only_text.empty())
      throw Error(ErrorCode::invalid_argument, lesson.problem);
    if (!lesson.lines.empty()) {
      rules.push_back({0, seen.machine_name, number, options.means_up,
                       base::dump_text(json(lesson.lines)), base::dump_text(json(lesson.tolerated)),
                       correction.reason, correction.corrected_by, correction.corrected_ms});
    } else {
      add_sentence(result.note, "Nothing was taught. " + lesson.problem);
    }
    add_sentence(result.note, trouble_note(lesson, order));
  }
  add_sentence(result.note, limits_of_lesson(judging_of(seen), order));
  int64_t rule = catalog_.correct_verification(scope, number, correction,
                                               reasons_after(seen, correction), rules);
  if (!rules.empty()) {
    rules.front().number = rule;
    result.taught = std::move(rules.front());
  }
  result.seen = catalog_.verification(scope, number);
  return result;
}

std::vector<TaughtText> VerdictReview::lesson_of_test_boot(const catalog::Verification& seen) {
  std::vector<TaughtText> lesson;
  for (const catalog::TaughtRule& each :
       catalog_.taught_rules(access::TenantName(seen.tenant), seen.machine_name)) {
    if (each.verification != seen.number) continue;
    lesson.push_back(
        {each.number, each.means_up, kept_texts(each.lines), kept_texts(each.tolerated)});
  }
  return lesson;
}

// Of the tenant: what its consoles may show of it.
std::vector<std::string> VerdictReview::known_names(const catalog::Verification& seen) {
  access::TenantName tenant(seen.tenant);
  std::vector<std::string> names{seen.machine_name};
  if (seen.tenant != access::kDefaultTenant) names.push_back(seen.tenant);
  for (const catalog::Machine& each : catalog_.machines(tenant)) names.push_back(each.name);
  for (const catalog::Host& each : catalog_.hosts(tenant)) names.push_back(each.name);
  return names;
}

ExportedCase VerdictReview::export_case(const access::TenantScope& scope, int64_t number) {
  catalog::Verification seen = catalog_.verification(scope, number);
  auto judging = judging_of(seen);
  if (!judging || judging->rule == VerdictRule::not_started) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("test boot {} cannot be exported: what it was judged by is not kept "
                            "(it was not started, is not among its machine's last {}, or an older "
                            "version judged it)",
                            number, catalog::VerificationRecords::kFullTestBootsKept));
  }
  ExportedCase exported;
  VerdictCase& result = exported.seen;
  result.label = seen.verdict;
  result.said = given_verdict(seen);
  result.corrected = seen.correction.has_value();
  result.judging = std::move(*judging);
  result.lesson = lesson_of_test_boot(seen);
  for (const auto& picture : catalog_.verification_pictures(number))
    result.screens.push_back({picture.at_ms, picture.text});
  result.serial = seen.serial;
  auto before = replay(result, Replay::untaught);
  Anonymizer anonymizer(known_names(seen));
  anonymize(result, anonymizer);
  exported.replacements = anonymizer.replacements();
  auto after = replay(result, Replay::untaught);
  std::string_view was = before ? verdict_name(before->kind) : "nothing";
  std::string_view is = after ? verdict_name(after->kind) : "nothing";
  if (was != is) {
    exported.note = fmt::format(
        "With neutral words the case is judged otherwise: {} instead of {}; a word that was "
        "replaced "
        "was decisive.",
        is, was);
  } else if (was != result.said) {
    exported.note = fmt::format("This program judges what was kept as {}; the verdict was {}.", was,
                                result.said);
  }
  return exported;
}

}  // namespace appliance::verify
