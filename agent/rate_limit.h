// Keeps a copy below a number of bytes a second. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>

namespace agent {

class RateLimit {
 public:
  // `rate` is bytes a second; 0: no limit.
  RateLimit(uint64_t rate, std::stop_token stop);

  void set_rate(uint64_t rate);  // for what is taken from now on

  // Returns when `size` more bytes may pass: those before them, and they themselves, have had their
  // time. At once when asked to stop.
  void take(uint64_t size);

 private:
  using Clock = std::chrono::steady_clock;

  uint64_t rate_;
  std::stop_token stop_;
  std::mutex mutex_;
  std::condition_variable_any stopped_;
  Clock::time_point free_at_ = Clock::now();  // when all that was taken has passed
};

}  // namespace agent
