#include "agent/rate_limit.h"

#include <algorithm>

#include "base/check.h"

namespace agent {

RateLimit::RateLimit(uint64_t rate, std::stop_token stop) : rate_(rate), stop_(std::move(stop)) {
  CHECK(rate > 0);
}

void RateLimit::take(uint64_t size) {
  std::chrono::duration<double> duration(static_cast<double>(size) / static_cast<double>(rate_));
  std::unique_lock lock(mutex_);
  // What was not used before is not made up for.
  Clock::time_point passed =
      std::max(free_at_, Clock::now()) + std::chrono::duration_cast<Clock::duration>(duration);
  free_at_ = passed;
  stopped_.wait_until(lock, stop_, passed, [] { return false; });
}

}  // namespace agent
