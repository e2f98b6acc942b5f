#include "base/clock.h"

#include <catch2/catch.hpp>

#include "base/text.h"

TEST_CASE("steady time advances, and wall time is the machine's") {
  uint64_t before = base::now_ms();
  uint64_t steady = base::steady_ms();
  CHECK(base::system_clock().wall_ms() >= before);
  CHECK(base::steady_ms() >= steady);
  CHECK(base::steady_ms() - steady < 60'000);
}

TEST_CASE("a start of the machine has a name, the same each time") {
  CHECK(base::machine_boot_id().size() == 36);
  CHECK(base::machine_boot_id() == base::machine_boot_id());
}

TEST_CASE("a stored time that is still to come holds nothing up") {
  CHECK_FALSE(base::has_passed(1000, 500, 1000));
  CHECK_FALSE(base::has_passed(1000, 500, 1499));
  CHECK(base::has_passed(1000, 500, 1500));
  CHECK(base::has_passed(1001, 500, 1000));
  CHECK(base::has_passed(~0ull, 500, 1000));
  CHECK_FALSE(base::has_passed(1000, ~0ull, 2000));
  CHECK(base::has_passed(0, 500, 1000));
}

TEST_CASE("a manual clock moves only when it is told to") {
  base::ManualClock clock(5000, 100);
  clock.pass(10);
  CHECK(clock.wall_ms() == 5010);
  CHECK(clock.steady_ms() == 110);
  clock.set_wall(1);
  CHECK(clock.wall_ms() == 1);
  CHECK(clock.steady_ms() == 110);
}
