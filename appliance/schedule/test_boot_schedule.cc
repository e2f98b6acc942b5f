#include "appliance/schedule/test_boot_schedule.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/log.h"

namespace appliance::schedule {

// A clock that was set back is followed: the same night is not waited for twice.
void TestBootSchedule::find_due(uint64_t now_ms) {
  uint64_t from_ms = std::min(looked_ms_, now_ms);
  for (const catalog::Tenant& tenant : catalog_.tenants(catalog::TenantScope::all())) {
    for (const catalog::Protection& protection : catalog_.protections(tenant.name)) {
      auto policy = policies_.find(tenant.name, protection.policy);
      if (!protection.wanted || policy->verification != policy::Verification::nightly) continue;
      auto machine = catalog_.find_machine(tenant.name, protection.machine);
      if (!machine || machine->point_count == 0) continue;
      int minute = policy->verification_minute;
      auto nightly =
          policy::Schedule::parse({fmt::format("daily {:02}:{:02}", minute / 60, minute % 60)});
      auto next = nightly.next_after(static_cast<int64_t>(from_ms), policy->zone);
      if (next && static_cast<uint64_t>(*next) <= now_ms)
        due_.emplace(tenant.name, protection.machine);
    }
  }
  looked_ms_ = now_ms;
}

void TestBootSchedule::round(uint64_t now_ms) {
  find_due(now_ms);
  std::string problem;
  for (auto key = due_.begin(); key != due_.end();) {
    try {
      test_boots_.order(key->first, key->second, "nightly");
      key = due_.erase(key);
    } catch (const base::Error& error) {
      // A machine that was removed needs no test.
      if (error.code() == base::ErrorCode::not_found &&
          !catalog_.find_machine(key->first, key->second)) {
        key = due_.erase(key);
        continue;
      }
      if (problem.empty())
        problem = fmt::format("no test boot of '{}': {}", key->second, error.message());
      ++key;
    }
  }
  if (problem.empty()) return;
  throw base::Error(base::ErrorCode::unavailable,
                    due_.size() == 1
                        ? problem
                        : fmt::format("{} (and {} more machines)", problem, due_.size() - 1));
}

void TestBootSchedule::committed(const catalog::TenantName& tenant, const std::string& machine) {
  auto protection = catalog_.find_protection(tenant, machine);
  if (!protection || !protection->wanted) return;
  auto policy = policies_.find(tenant, protection->policy);
  if (policy->verification != policy::Verification::after_sync) return;
  try {
    test_boots_.order(tenant, machine, "sync");
  } catch (const std::exception& error) {
    base::log().warn("no test boot of {}: {}", machine, error.what());
  }
}

}  // namespace appliance::schedule
