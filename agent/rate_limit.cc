#include "agent/rate_limit.h"

#include <algorithm>

namespace agent {

RateLimit::RateLimit(uint64_t rate, std::stop_token stop) : rate_(rate), stop_(std::move(stop)) {}

void RateLimit::set_rate(uint64_t rate) {
  std::lock_guard lock(mutex_);
  rate_ = rate;
}

void RateLimit::take(uint64_t size) {
  std::unique_lock lock(mutex_);
  if (rate_ == 0) return;
  std::chrono::duration<double> duration(static_cast<double>(size) / static_cast<double>(rate_));
  // Unused bandwidth of earlier is not accumulated.
  Clock::time_point passed =
      std::max(free_at_, Clock::now()) + std::chrono::duration_cast<Clock::duration>(duration);
  free_at_ = passed;
  stopped_.wait_until(lock, stop_, passed, [] { return false; });
}

}  // namespace agent
