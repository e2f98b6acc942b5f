// Who guesses waits, and keeps nobody else out.
#include "appliance/people/guess_guard.h"

#include <catch2/catch.hpp>

namespace appliance::people {
namespace {

constexpr uint64_t kQuarterMs = 15 * 60'000;

// Guesses in a row that could be made at once; stops at the first that has to wait.
int guesses_at_once(GuessGuard& guard, const std::string& user, const std::string& address) {
  for (int count = 0; count < 10'000; ++count) {
    if (guard.begin(user, address, false) != 0) return count;
  }
  return 10'000;
}

}  // namespace

TEST_CASE("a few failures are free, then each wait is twice as long", "[people]") {
  base::ManualClock clock;
  GuessGuard guard({}, clock);
  CHECK(guesses_at_once(guard, "anna", "192.0.2.1") == 5);
  uint64_t before = 0;
  for (int i = 0; i < 15; ++i) {
    uint64_t wait_ms = guard.begin("anna", "192.0.2.1", false);
    CHECK(wait_ms == std::min<uint64_t>(1000ull << i, kQuarterMs));
    CHECK(wait_ms >= before);
    before = wait_ms;
    clock.pass(wait_ms);
    CHECK(guard.begin("anna", "192.0.2.1", false) == 0);
  }
  CHECK(guard.waiting().size() >= 1);
  clock.pass(3'600'000);
  CHECK(guard.begin("anna", "192.0.2.1", false) == 0);
  CHECK(guard.waiting().empty());
}

TEST_CASE("many users from one address, and one user from many addresses, are slowed", "[people]") {
  base::ManualClock clock;
  GuessGuard guard({}, clock);
  int tried = 0;
  for (int i = 0; i < 1000; ++i)
    tried += guard.begin("user" + std::to_string(i), "192.0.2.1", false) == 0 ? 1 : 0;
  CHECK(tried == 20);
  tried = 0;
  for (int i = 0; i < 1000; ++i)
    tried += guard.begin("anna", "10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250),
                         false) == 0
                 ? 1
                 : 0;
  CHECK(tried == 50);
  // A whole /64 is one address.
  tried = 0;
  for (int i = 0; i < 1000; ++i)
    tried +=
        guard.begin("b" + std::to_string(i), "2001:db8::" + std::to_string(i), false) == 0 ? 1 : 0;
  CHECK(tried == 20);
}

TEST_CASE("an attacker keeps nobody out of a place where he has signed in", "[people]") {
  base::ManualClock clock;
  GuessGuard guard({}, clock);
  for (int minute = 0; minute < 24 * 60; ++minute) {
    for (int i = 0; i < 100; ++i)
      guard.begin("anna", "10.1." + std::to_string(minute % 250) + "." + std::to_string(i), false);
    clock.pass(60'000);
  }
  CHECK(guard.begin("anna", "203.0.113.9", false) != 0);  // elsewhere she waits
  CHECK(guard.begin("anna", "198.51.100.7", true) == 0);  // not at her desk
  guard.succeeded("anna", "198.51.100.7", true);
  // Once the attack is over, at most a quarter of an hour elsewhere.
  clock.pass(kQuarterMs);
  CHECK(guard.begin("anna", "203.0.113.9", false) == 0);
}

TEST_CASE("many attempts at once have no advantage", "[people]") {
  base::ManualClock clock;
  GuessGuard guard({}, clock);
  int begun = 0;
  for (int i = 0; i < 100; ++i) begun += guard.begin("anna", "192.0.2.1", true) == 0 ? 1 : 0;
  CHECK(begun == 5);  // none of which has ended
}

TEST_CASE("a success does not wash off guesses of other names", "[people]") {
  base::ManualClock clock;
  GuessGuard guard({}, clock);
  int tried = 0;
  for (int i = 0; i < 200; ++i) {
    if (guard.begin("victim" + std::to_string(i), "192.0.2.1", false) == 0) ++tried;
    if (guard.begin("mine", "192.0.2.1", true) == 0) guard.succeeded("mine", "192.0.2.1", true);
  }
  CHECK(tried <= 21);
}

TEST_CASE("what is remembered of guesses is bounded", "[people]") {
  base::ManualClock clock;
  GuessLimits limits;
  limits.user_at_address = limits.address = limits.user = 1;
  GuessGuard guard(limits, clock);
  for (int i = 0; i < 20'000; ++i) {
    guard.begin("u" + std::to_string(i),
                std::to_string(i % 250) + "." + std::to_string(i / 250) + ".0.1", false);
  }
  CHECK(guard.waiting().empty());
  clock.pass(3'600'000);
  CHECK(guard.begin("anna", "192.0.2.1", false) == 0);
}

TEST_CASE("addresses are counted by who has them", "[people]") {
  CHECK(counted_address("192.0.2.1") == "192.0.2.1");
  CHECK(counted_address("::ffff:192.0.2.1") == "192.0.2.1");
  CHECK(counted_address("2001:db8:1:2:3:4:5:6") == counted_address("2001:db8:1:2::1"));
  CHECK(counted_address("2001:db8:1:3::1") != counted_address("2001:db8:1:2::1"));
  CHECK(counted_address("") == "");
}

}  // namespace appliance::people
