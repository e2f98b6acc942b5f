#include "appliance/schedule/clock_trust.h"

#include <catch2/catch.hpp>

#include "appliance/catalog/catalog.h"
#include "base/scratch_directory.h"

namespace appliance::schedule {
namespace {

constexpr uint64_t kHour = 3'600'000, kDay = 24 * kHour, kYear = 365 * kDay;

// An appliance that is restarted, on a machine whose clock and boots the test makes.
struct Machine {
  base::ScratchDirectory scratch{"/tmp", "muletto-clock-test"};
  base::ManualClock clock;
  bool synchronized = false;
  std::unique_ptr<catalog::Catalog> catalog;
  std::optional<ClockTrust> trust;

  Machine() { start("first boot"); }
  void start(const std::string& boot) {
    trust.reset();
    catalog.reset();
    catalog = catalog::Catalog::open(scratch.path() + "/catalog.sqlite");
    trust.emplace(*catalog, ClockSources{&clock, boot, [this] { return synchronized; }});
  }
  bool trusted() { return trust->look().trusted; }
};

}  // namespace

TEST_CASE("a clock that goes is trusted, also through small steps and restarts") {
  Machine machine;
  for (int day = 0; day < 400; ++day) {
    machine.clock.pass(kDay);
    machine.clock.set_wall(machine.clock.wall_ms() + 4 * 60'000);
    REQUIRE(machine.trusted());
  }
  machine.start("first boot");
  CHECK(machine.trusted());
  machine.clock.set_wall(machine.clock.wall_ms() - 9 * 60'000);
  CHECK(machine.trusted());
}

TEST_CASE("it is known which start of the machine this is") {
  CHECK(system_clock_sources().boot.size() == 36);
}

TEST_CASE("a jump either way is doubted until the clock is back, in this daemon and the next") {
  Machine machine;
  REQUIRE(machine.trusted());
  const bool ahead = GENERATE(true, false);
  const uint64_t right = machine.clock.wall_ms();
  machine.clock.set_wall(ahead ? right + kYear : right - kYear);
  ClockStanding doubted = machine.trust->look();
  CHECK_FALSE(doubted.trusted);
  CHECK(doubted.trusted_ms == right);
  CHECK_THAT(doubted.problem, Catch::Contains(ahead ? "ahead" : "behind") &&
                                  Catch::Contains("365 d 0 h") &&
                                  Catch::Contains("muletto clock accept"));
  machine.clock.pass(kDay);
  CHECK_FALSE(machine.trusted());
  machine.start("first boot");
  CHECK_FALSE(machine.trusted());
  SECTION("it comes back") {
    machine.clock.set_wall(right + kDay);
    CHECK(machine.trusted());
    machine.clock.pass(kDay);
    CHECK(machine.trusted());
  }
  SECTION("an operator accepts it") {
    CHECK(machine.trust->accept().trusted);
    machine.clock.pass(kDay);
    CHECK(machine.trusted());
    machine.start("first boot");
    CHECK(machine.trusted());
  }
  SECTION("it is synchronized for a day") {
    machine.synchronized = true;
    CHECK_FALSE(machine.trusted());
    machine.clock.pass(kDay - 1);
    CHECK_FALSE(machine.trusted());
    machine.clock.pass(1);
    CHECK(machine.trusted());
  }
  SECTION("it is synchronized with a break") {
    machine.synchronized = true;
    CHECK_FALSE(machine.trusted());
    machine.clock.pass(kDay - 1);
    machine.synchronized = false;
    CHECK_FALSE(machine.trusted());
    machine.synchronized = true;
    machine.clock.pass(1);
    CHECK_FALSE(machine.trusted());
  }
  SECTION("the machine is restarted: nobody knows any more, not even when it is right") {
    machine.start("second boot");
    CHECK_FALSE(machine.trusted());
    machine.clock.set_wall(right + kDay);
    CHECK_FALSE(machine.trusted());
    CHECK(machine.trust->accept().trusted);
  }
}

TEST_CASE("after a restart of the machine the clock may not be behind, nor far ahead") {
  Machine machine;
  machine.clock.pass(2 * kHour);
  REQUIRE(machine.trusted());
  const uint64_t right = machine.clock.wall_ms();
  machine.clock.set_wall(right + 29 * kDay);
  machine.start("second boot");
  CHECK(machine.trusted());
  machine.clock.set_wall(machine.clock.wall_ms() + 31 * kDay);
  machine.start("third boot");
  CHECK_FALSE(machine.trusted());

  Machine flat;  // its battery is empty: it begins in the past, until NTP has set it
  flat.clock.pass(2 * kHour);
  REQUIRE(flat.trusted());
  flat.clock.set_wall(kYear);
  flat.start("second boot");
  CHECK_FALSE(flat.trusted());
  flat.clock.pass(kHour);
  flat.clock.set_wall(right + kHour);
  CHECK(flat.trusted());
}

}  // namespace appliance::schedule
