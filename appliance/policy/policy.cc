#include "appliance/policy/policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"

namespace appliance::policy {
namespace {

constexpr int64_t kLongestGrace = 15 * kMinuteMs;
constexpr int64_t kShortestGrace = 5'000;
constexpr size_t kMaxBlackouts = 16;

template <typename Parse>
auto field(const char* name, Parse parse) {
  try {
    return parse();
  } catch (const base::Error& error) {
    throw error.with_context(name);
  }
}

void compile_verification(Policy& policy) {
  const std::string& text = policy.text.verification;
  std::vector<std::string> words = words_of(text);
  if (text == "off") return;
  if (text == "after-sync") {
    policy.verification = Verification::after_sync;
  } else if (words.size() == 2 && words[0] == "nightly") {
    policy.verification = Verification::nightly;
    policy.verification_minute = parse_minute(words[1]) % (24 * 60);
  } else {
    throw base::Error(base::ErrorCode::invalid_argument,
                      "choose off, after-sync or 'nightly HH:MM'");
  }
}

}  // namespace

Policy compile(const PolicyText& text) {
  base::check_name(text.name, "policy's name");
  Policy policy;
  policy.text = text;
  policy.schedule = field("schedule", [&] { return Schedule::parse(text.schedule); });
  policy.zone = field("timezone", [&] { return TimeZone(text.timezone); });
  field("blackout", [&] {
    if (text.blackout.size() > kMaxBlackouts) {
      throw base::Error(base::ErrorCode::invalid_argument, "there are more than 16 windows");
    }
    for (const std::string& window : text.blackout) {
      policy.blackout.push_back(parse_window(words_of(window)));
    }
    return 0;
  });
  policy.jitter_ms =
      field("jitter", [&] { return static_cast<int64_t>(base::parse_duration_ms(text.jitter)); });
  policy.retention = field("keep", [&] { return parse_retention(text.keep); });
  field("verification", [&] {
    compile_verification(policy);
    return 0;
  });
  policy.verify_within_ms =
      field("verify_within", [&] { return base::parse_duration_ms(text.verify_within); });
  policy.bandwidth = field("bandwidth", [&] { return parse_bandwidth(text.bandwidth); });
  if (!text.rpo.empty()) {
    policy.rpo_ms =
        field("rpo", [&] { return static_cast<int64_t>(base::parse_duration_ms(text.rpo)); });
  }
  if (!text.rto.empty())
    policy.rto_ms = field("rto", [&] { return base::parse_duration_ms(text.rto); });
  if (text.priority < 1 || text.priority > 9) {
    throw base::Error(base::ErrorCode::invalid_argument, "priority: choose 1 to 9");
  }
  return policy;
}

bool Policy::in_blackout(int64_t utc_ms) const {
  int64_t local = zone.local_of(utc_ms);
  return std::any_of(blackout.begin(), blackout.end(),
                     [&](const Window& window) { return window.contains(local); });
}

std::optional<int64_t> Policy::next_due(const std::string& machine_name, int64_t after_ms) const {
  int64_t shift = jitter_of(machine_name, jitter_ms);
  auto next = schedule.next_after(std::max<int64_t>(after_ms - shift, 0), zone);
  return next ? std::optional(*next + shift) : std::nullopt;
}

std::optional<uint64_t> Policy::rate_at(int64_t utc_ms) const {
  return policy::rate_at(bandwidth, zone.local_of(utc_ms));
}

int64_t overdue_at(const Policy& policy, const std::string& machine_name, int64_t latest_ms) {
  if (policy.rpo_ms) return latest_ms + *policy.rpo_ms;
  auto due = policy.next_due(machine_name, latest_ms);
  if (!due) return latest_ms + kAgeWithoutSchedule;
  int64_t after = policy.next_due(machine_name, *due).value_or(*due + kDayMs);
  int64_t grace = std::clamp(2 * (after - *due), kShortestGrace, kLongestGrace);
  int64_t late = *due + grace;
  for (int i = 0; i < 7 * 24 * 60 && policy.in_blackout(late - grace); ++i) late += kMinuteMs;
  return late;
}

std::string policy_to_json(const PolicyText& text) {
  return base::dump_text({{"name", text.name},
                          {"schedule", text.schedule},
                          {"timezone", text.timezone},
                          {"blackout", text.blackout},
                          {"jitter", text.jitter},
                          {"keep", text.keep},
                          {"verification", text.verification},
                          {"verify_within", text.verify_within},
                          {"bandwidth", text.bandwidth},
                          {"rpo", text.rpo},
                          {"rto", text.rto},
                          {"priority", text.priority},
                          {"protect_new", text.protect_new}});
}

PolicyText policy_from_json(const std::string& name, const std::string& text) {
  try {
    nlohmann::json json = base::parse_json(text, "it");
    PolicyText policy;
    policy.name = name;
    policy.schedule = json.value("schedule", policy.schedule);
    policy.timezone = json.value("timezone", policy.timezone);
    policy.blackout = json.value("blackout", policy.blackout);
    policy.jitter = json.value("jitter", policy.jitter);
    policy.keep = json.value("keep", policy.keep);
    policy.verification = json.value("verification", policy.verification);
    policy.verify_within = json.value("verify_within", policy.verify_within);
    policy.bandwidth = json.value("bandwidth", policy.bandwidth);
    policy.rpo = json.value("rpo", policy.rpo);
    policy.rto = json.value("rto", policy.rto);
    policy.priority = json.value("priority", policy.priority);
    policy.protect_new = json.value("protect_new", policy.protect_new);
    return policy;
  } catch (const nlohmann::json::exception& error) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      fmt::format("the policy '{}' cannot be read: {}", name, error.what()));
  }
}

}  // namespace appliance::policy
