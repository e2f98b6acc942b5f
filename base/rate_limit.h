// Keeps a copy below a number of bytes per second. Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <stop_token>

#include "base/guarded.h"

namespace base {

class RateLimit {
 public:
  // `rate` is in bytes per second; 0: no limit.
  RateLimit(uint64_t rate, std::stop_token stop);

  void set_rate(uint64_t rate);  // applies to what is taken from now on

  // Returns when `size` more bytes may be sent: when the time for them and all earlier ones has
  // passed. Returns at once when asked to stop.
  void take(uint64_t size);

 private:
  using Clock = std::chrono::steady_clock;
  struct State {
    uint64_t rate = 0;
    Clock::time_point free_at = Clock::now();  // when all that was taken may have been sent
  };

  base::Guarded<State> state_;
  std::stop_token stop_;
};

}  // namespace base
