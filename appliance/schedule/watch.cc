// Old rows are forgotten.
#include "appliance/schedule/scheduler.h"

namespace appliance::schedule {
namespace {

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

}  // namespace appliance::schedule
