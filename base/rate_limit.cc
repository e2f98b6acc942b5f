#include "base/rate_limit.h"

#include <algorithm>

#include "base/guarded_thread.h"

namespace base {

RateLimit::RateLimit(uint64_t rate, std::stop_token stop) : stop_(std::move(stop)) {
  set_rate(rate);
}

void RateLimit::set_rate(uint64_t rate) { state_.lock()->rate = rate; }

void RateLimit::take(uint64_t size) {
  Clock::time_point passed;
  {
    auto state = state_.lock();
    if (state->rate == 0) return;
    std::chrono::duration<double> duration(static_cast<double>(size) /
                                           static_cast<double>(state->rate));
    // Unused bandwidth of earlier is not accumulated.
    passed = std::max(state->free_at, Clock::now()) +
             std::chrono::duration_cast<Clock::duration>(duration);
    state->free_at = passed;
  }
  // Less than a millisecond is left to the next call, which waits longer.
  sleep_unless_stopped(
      stop_, std::chrono::duration_cast<std::chrono::milliseconds>(passed - Clock::now()));
}

}  // namespace base
