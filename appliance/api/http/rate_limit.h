// Limits requests: a token bucket for each client, refilled at a steady rate. Thread-safe.
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "base/guarded.h"

namespace appliance::api {

class RateLimit {
 public:
  using Clock = std::chrono::steady_clock;
  // `burst` requests at once, `per_second` in the long run.
  RateLimit(double burst, double per_second) : burst_(burst), per_second_(per_second) {}

  // False if this request comes too soon; it is not counted then.
  bool admit(const std::string& who, Clock::time_point now = Clock::now());

  // How many clients are tracked. If all entries belong to busy clients, a new one is refused.
  static constexpr size_t kMaxRemembered = 10'000;

 private:
  struct Bucket {
    double tokens = 0;
    Clock::time_point filled;
  };
  const double burst_, per_second_;
  base::Guarded<std::map<std::string, Bucket>> buckets_;
};

}  // namespace appliance::api
