// Retention: points that a policy does not keep are deleted; and old rows are forgotten.
#include <fmt/format.h>

#include "appliance/schedule/scheduler.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::schedule {
namespace {

constexpr uint64_t kRetainEveryMs = 60'000;
constexpr uint64_t kDayMs = 24 * 3'600'000;
constexpr uint64_t kForgetEveryMs = 3'600'000;
constexpr uint64_t kKeepGapsMs = 100 * kDayMs;

uint64_t ago(uint64_t now_ms, uint64_t age_ms) { return now_ms > age_ms ? now_ms - age_ms : 0; }

}  // namespace

// Once an hour, and never by a clock that cannot be believed.
void Scheduler::forget_old(State& state, uint64_t now_ms) {
  const uint64_t steady = clock_.steady_ms();
  if (state.forgotten_ms && steady < *state.forgotten_ms + kForgetEveryMs) return;
  state.forgotten_ms = steady;
  if (others_.clock_trust != nullptr && !others_.clock_trust->look().trusted) return;
  catalog_.forget_gaps(ago(now_ms, kKeepGapsMs));
  catalog_.forget_test_boots(
      ago(now_ms, std::chrono::milliseconds(catalog::Catalog::kTestBootAge).count()));
}

void Scheduler::retain(State& state) {
  const uint64_t steady = clock_.steady_ms();
  if (state.retained_ms && steady < *state.retained_ms + kRetainEveryMs) return;
  state.retained_ms = steady;
  // How old a point is hangs on the clock.
  if (others_.clock_trust != nullptr && !others_.clock_trust->look().trusted) return;
  for (const catalog::Tenant& tenant : catalog_.tenants()) {
    for (const catalog::Protection& protection : catalog_.protections(tenant.name)) {
      PolicyPointer policy = policy_of(state, tenant.name, protection.policy);
      if (!protection.wanted || policy->retention.keeps_all()) continue;
      std::vector<policy::DatedPoint> points;
      if (!catalog_.find_machine(tenant.name, protection.machine)) continue;
      for (const catalog::PointRow& row : catalog_.points(tenant.name, protection.machine))
        points.push_back({row.summary.id, static_cast<int64_t>(row.summary.time_ms)});
      auto old = policy::points_to_delete(std::move(points), policy->retention, policy->zone);
      if (old.empty()) continue;
      std::string name = tenant.name;
      jobs_.submit(
          {"retention", name, protection.machine, "retention " + name + " " + protection.machine},
          [this, name, old](jobs::JobContext& context) {
            auto writer = stores_.expect_writable(name);
            for (const images::PointId& id : old) {
              context.throw_if_stopped();
              try {
                others_.expect_deletable(id);
                catalog_.intend_removal(name, id);
                writer->delete_point(id);
              } catch (const base::Error& error) {
                if (error.code() != base::ErrorCode::busy &&
                    error.code() != base::ErrorCode::not_found)
                  throw;
                context.log(fmt::format("{} stays: {}", id.hex(), error.message()));
                if (error.code() == base::ErrorCode::busy) continue;
              }
              catalog_.remove_point(name, id);
              context.log("deleted " + id.hex());
            }
          });
    }
  }
}

}  // namespace appliance::schedule
