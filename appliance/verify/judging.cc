#include "appliance/verify/judging.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_access.h"

namespace appliance::verify {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

constexpr size_t kMaxRead = 1000;      // expectations
constexpr size_t kMaxTextSize = 4096;  // of a field
constexpr uint64_t kMaxTimeMs = 24ull * 3'600'000;

struct LimitField {
  const char* name;
  uint64_t VerdictLimits::*value;
};
constexpr std::array kLimitFields{
    LimitField{"settle_up_ms", &VerdictLimits::settle_up_ms},
    LimitField{"settle_failure_ms", &VerdictLimits::settle_failure_ms},
    LimitField{"settle_shell_ms", &VerdictLimits::settle_shell_ms},
    LimitField{"waiting_ms", &VerdictLimits::waiting_ms},
    LimitField{"service_grace_ms", &VerdictLimits::service_grace_ms},
    LimitField{"idle_grace_ms", &VerdictLimits::idle_grace_ms},
    LimitField{"disk_grace_ms", &VerdictLimits::disk_grace_ms},
    LimitField{"still_ms", &VerdictLimits::still_ms},
    LimitField{"still_on_network_ms", &VerdictLimits::still_on_network_ms},
    LimitField{"total_ms", &VerdictLimits::total_ms},
    LimitField{"watch_on_ms", &VerdictLimits::watch_on_ms},
};

uint64_t time_in(const json& object, const char* name) {
  uint64_t value = base::expect_natural(object, name);
  if (value <= kMaxTimeMs) return value;
  throw Error(ErrorCode::invalid_argument,
              fmt::format("'{}' is {} ms, more than a day", name, value));
}

bool has_answer(Signal signal) {
  return signal == Signal::agent || signal == Signal::service || signal == Signal::script ||
         signal == Signal::file_system;
}

json rules_json(const std::vector<TaughtText>& rules) {
  json list = json::array();
  for (const TaughtText& each : rules) {
    list.push_back({{"number", each.number},
                    {"means_up", each.means_up},
                    {"lines", each.lines},
                    {"tolerated", each.tolerated}});
  }
  return list;
}

std::vector<std::string> read_lines(const json& entry, const char* name, size_t max_count) {
  std::vector<std::string> lines;
  for (const json& line : base::expect_list(entry, name, max_count)) {
    if (line.is_string()) lines.push_back(line.get<std::string>().substr(0, kTaughtLineSize));
  }
  return lines;
}

TaughtText read_rule(const json& entry) {
  return {base::find_integer(entry, "number").value_or(0), base::expect_flag(entry, "means_up"),
          read_lines(entry, "lines", kTaughtLines),
          read_lines(entry, "tolerated", kToleratedLines)};
}

}  // namespace

json observation_json(const Observation& seen) {
  json entry{{"at_ms", seen.at_ms}, {"signal", signal_name(seen.signal)}};
  if (has_answer(seen.signal) || seen.good) entry["good"] = seen.good;
  if (!seen.subject.empty()) entry["subject"] = seen.subject;
  if (!seen.detail.empty()) entry["detail"] = seen.detail;
  if (seen.signal == Signal::screen || seen.signal == Signal::serial)
    entry["meaning"] = meaning_sentence(seen.meaning);
  return entry;
}

Observation read_observation(const json& entry) {
  Observation seen;
  seen.at_ms = time_in(entry, "at_ms");
  std::string signal = base::expect_text(entry, "signal", kMaxTextSize);
  auto known = find_signal(signal);
  if (!known) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("'{}' is not a signal of a test boot", signal.substr(0, 80)));
  }
  seen.signal = *known;
  seen.good = base::find_flag(entry, "good").value_or(false);
  seen.subject = base::find_text(entry, "subject").value_or("").substr(0, kMaxTextSize);
  seen.detail = base::find_text(entry, "detail").value_or("").substr(0, kMaxTextSize);
  // A sentence of an older version counts as text that means nothing certain.
  if (auto meaning = base::find_text(entry, "meaning"))
    seen.meaning = find_meaning(*meaning).value_or(TextMeaning::other);
  return seen;
}

json inputs_json(const Judging& judging) {
  json limits = json::object(), expected = json::array();
  for (const LimitField& each : kLimitFields) limits[each.name] = judging.limits.*each.value;
  limits["reboot_count"] = judging.limits.reboot_count;
  for (const Expectation& each : judging.expected)
    expected.push_back({{"check", each.check}, {"learned", each.learned}});
  return {{"limits", limits},
          {"expected", expected},
          {"rules", rules_json(judging.taught.rules)},
          {"names", judging.taught.names},
          {"last_change_ms", judging.evidence.last_change_ms},
          {"last_read_ms", judging.evidence.last_read_ms},
          {"disks_pending", judging.evidence.disks_pending},
          {"disks_over_ms", judging.evidence.disks_over_ms},
          {"judged_at_ms", judging.judged_at_ms},
          {"rule", rule_name(judging.rule)}};
}

void read_inputs(const json& inputs, Judging& judging) {
  const json* limits = base::find_field(inputs, "limits");
  if (limits == nullptr) throw Error(ErrorCode::invalid_argument, "'limits' is missing");
  for (const LimitField& each : kLimitFields)
    judging.limits.*each.value = time_in(*limits, each.name);
  judging.limits.reboot_count = static_cast<uint32_t>(time_in(*limits, "reboot_count"));
  for (const json& each : base::expect_list(inputs, "expected", kMaxRead)) {
    judging.expected.push_back({base::expect_text(each, "check", kMaxTextSize),
                                base::find_flag(each, "learned").value_or(false)});
  }
  for (const json& each : base::expect_list(inputs, "rules", kMaxRead))
    judging.taught.rules.push_back(read_rule(each));
  for (const json& each : base::expect_list(inputs, "names", kMaxRead)) {
    if (each.is_string()) judging.taught.names.push_back(each.get<std::string>());
  }
  judging.evidence.last_change_ms = time_in(inputs, "last_change_ms");
  judging.evidence.last_read_ms = time_in(inputs, "last_read_ms");
  judging.evidence.disks_pending = base::expect_flag(inputs, "disks_pending");
  judging.evidence.disks_over_ms = time_in(inputs, "disks_over_ms");
  judging.judged_at_ms = time_in(inputs, "judged_at_ms");
  judging.rule = rule_from_name(base::expect_text(inputs, "rule", kMaxTextSize));
}

std::string observations_text(const Evidence& evidence) {
  json list = json::array();
  for (const Observation& seen : evidence.observations) list.push_back(observation_json(seen));
  return base::dump_text(list);
}

std::string judging_text(const Judging& judging) { return base::dump_text(inputs_json(judging)); }

std::optional<Judging> find_judging(std::string_view observations, std::string_view judging) {
  if (judging.empty()) return std::nullopt;
  auto inputs = base::find_json(judging, base::kOwnJsonLimits);
  auto list = base::find_json(observations, base::kOwnJsonLimits);
  if (!inputs || !list || !list->is_array()) return std::nullopt;
  try {
    Judging read;
    read_inputs(*inputs, read);
    for (const json& each : *list) read.evidence.observations.push_back(read_observation(each));
    return read;
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace appliance::verify
