#include "appliance/api/http/rate_limit.h"

#include <catch2/catch.hpp>

namespace appliance::api {

TEST_CASE("a burst is let through, then the steady rate, each for himself") {
  using namespace std::chrono_literals;
  RateLimit limit(3, 2);
  auto now = RateLimit::Clock::now();
  for (int i = 0; i < 3; ++i) CHECK(limit.admit("alpha", now));
  CHECK_FALSE(limit.admit("alpha", now));
  CHECK(limit.admit("beta", now));
  CHECK(limit.admit("alpha", now + 500ms));
  CHECK_FALSE(limit.admit("alpha", now + 600ms));
  // What was refused does not count, and no more than a burst is saved up.
  for (int i = 0; i < 3; ++i) CHECK(limit.admit("alpha", now + 1h));
  CHECK_FALSE(limit.admit("alpha", now + 1h));
}

TEST_CASE("what is remembered is bounded") {
  using namespace std::chrono_literals;
  RateLimit limit(1, 1);
  auto now = RateLimit::Clock::now();
  for (size_t i = 0; i < RateLimit::kMaxRemembered; ++i) limit.admit(std::to_string(i), now);
  CHECK_FALSE(limit.admit("one more", now));
  CHECK(limit.admit("one more", now + 2s));
}

}  // namespace appliance::api
