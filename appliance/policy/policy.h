// What a policy says about its machines: when to sync, what to keep, how to verify, how fast. A
// policy is stored as the text people write; compile() interprets it. Values; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/policy/bandwidth.h"
#include "appliance/policy/retention.h"
#include "appliance/policy/schedule.h"

namespace appliance::policy {

// Each tenant has a policy of this name, for machines that were assigned no other.
constexpr std::string_view kDefaultPolicy = "default";

struct PolicyText {
  std::string name;
  std::vector<std::string> schedule{"every 1h"};
  std::string timezone = "UTC";
  std::vector<std::string> blackout;  // windows in which no sync begins
  std::string jitter = "0s";
  std::string keep = "all";
  std::string verification = "off";  // off | after-sync | nightly HH:MM
  std::string verify_within = "8d";  // unless verification is off: a test boot must pass this often
  std::string bandwidth;             // empty: no limit
  std::string rpo;                   // how old its newest point may be; empty: by the schedule
  std::string rto;                   // how long a test boot may take to come up; empty: no target
  uint32_t priority = 5;             // 1 to 9; 9 goes first
  bool protect_new = false;          // of the default policy: newly reported machines are protected
};

enum class Verification { off, after_sync, nightly };

struct Policy {
  PolicyText text;
  Schedule schedule;
  TimeZone zone{"UTC"};
  std::vector<Window> blackout;
  int64_t jitter_ms = 0;
  Retention retention;
  Verification verification = Verification::off;
  int verification_minute = 0;  // of the day, if nightly
  uint64_t verify_within_ms = 0;
  Bandwidth bandwidth;
  std::optional<int64_t> rpo_ms;
  std::optional<uint64_t> rto_ms;

  bool in_blackout(int64_t utc_ms) const;
  // Bytes per second at that time; nullopt: no limit.
  std::optional<uint64_t> rate_at(int64_t utc_ms) const;
  // When the machine is next due after that instant, ignoring blackouts.
  std::optional<int64_t> next_due(const std::string& machine_name, int64_t after_ms) const;
};

// Throws invalid_argument, naming the field.
Policy compile(const PolicyText& text);

// When a machine whose newest point is of `latest_ms` counts as overdue: after the policy's RPO, or
// when a due sync has had its time (twice the interval, at most 15 minutes). With the schedule off
// it is kAgeWithoutSchedule.
constexpr int64_t kAgeWithoutSchedule = kDayMs;
int64_t overdue_at(const Policy& policy, const std::string& machine_name, int64_t latest_ms);

std::string policy_to_json(const PolicyText& text);
// Applies the output of policy_to_json() to the defaults. Throws invalid_argument.
PolicyText policy_from_json(const std::string& name, const std::string& json);

}  // namespace appliance::policy
