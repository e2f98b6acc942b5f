#include "appliance/boot/restart.h"

#include <catch2/catch.hpp>

namespace appliance::boot {

TEST_CASE("the pause before the next restart does not grow when the clock is set back", "[boot]") {
  constexpr uint64_t kNow = 1'800'000'000'000, kYear = 365ull * 24 * 3'600'000;
  BootRecord record;
  record.vm.restart = RestartPolicy::automatic;
  record.phase = Phase::started;
  auto next = [&](uint64_t now_ms) { return after_end(record, DomainEnd::crashed, now_ms); };
  CHECK(next(kNow) == AfterEnd::restart);
  count_attempt(record, kNow);
  CHECK(next(kNow) == AfterEnd::later);
  CHECK(next(kNow + 5 * 60'000) == AfterEnd::restart);
  CHECK(next(kNow - kYear) == AfterEnd::restart);
  CHECK(next(kNow + kYear) == AfterEnd::restart);
}

}  // namespace appliance::boot
