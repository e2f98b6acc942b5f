#include "appliance/schedule/old_rows.h"

#include <chrono>

namespace appliance::schedule {
namespace {

constexpr uint64_t kDayMs = 24 * 3'600'000;
constexpr uint64_t kForgetEveryMs = 3'600'000;
constexpr uint64_t kKeepGapsMs = 100 * kDayMs;

uint64_t ago(uint64_t now_ms, uint64_t age_ms) { return now_ms > age_ms ? now_ms - age_ms : 0; }

}  // namespace

void OldRows::round() {
  const uint64_t steady = clock_.steady_ms();
  if (forgotten_ms_ && steady < *forgotten_ms_ + kForgetEveryMs) return;
  forgotten_ms_ = steady;
  if (!clock_trust_.look().trusted) return;
  const uint64_t now_ms = clock_.wall_ms();
  constexpr std::chrono::milliseconds kRetention = catalog::VerificationRecords::kTestBootRetention;
  catalog_.forget_gaps(ago(now_ms, kKeepGapsMs));
  catalog_.forget_test_boots(ago(now_ms, static_cast<uint64_t>(kRetention.count())));
}

}  // namespace appliance::schedule
