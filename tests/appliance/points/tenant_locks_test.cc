// Locks of tenants under every turn of the clock.
#include "appliance/points/tenant_locks.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <random>

#include "base/error.h"
#include "tests/appliance/catalog/catalogs.h"

namespace appliance::points {
namespace {

constexpr uint64_t kHourMs = 3'600'000, kDayMs = 24 * kHourMs;
const catalog::TenantName kTenant(catalog::kDefaultTenant);

class Fixture {
 public:
  catalog::Catalog& catalog() { return fresh_->get(); }
  // Received now, by the wall clock.
  images::PointId receive() {
    images::PointSummary point = catalog::make_point("web", clock.wall_ms());
    catalog().add_point(kTenant, point);
    return point.id;
  }
  // Time passes, and the duty runs.
  void pass(uint64_t duration_ms) {
    for (; duration_ms > kHourMs; duration_ms -= kHourMs) {
      clock.pass(kHourMs);
      lived->tick();
    }
    clock.pass(duration_ms);
    lived->tick();
  }
  void turn(int64_t by_ms) {
    clock.set_wall(clock.wall_ms() + static_cast<uint64_t>(by_ms));
    lived->tick();
  }
  void restart(uint64_t off_ms) {
    clock.pass(off_ms);
    lived = std::make_unique<LivedTime>(catalog(), clock);
    locks = std::make_unique<TenantLocks>(catalog(), *lived);
  }
  bool is_locked(const images::PointId& point) { return !locks->obstacle(kTenant, point).empty(); }

 private:
  std::unique_ptr<catalog::FreshCatalog> fresh_ = catalog::make_catalog("sqlite");

 public:
  base::ManualClock clock;
  std::unique_ptr<LivedTime> lived = std::make_unique<LivedTime>(catalog(), clock);
  std::unique_ptr<TenantLocks> locks = std::make_unique<TenantLocks>(catalog(), *lived);
};

// Nothing is written to a disk: there are thousands of writes.
class Facts : public catalog::ApplianceRecords {
 public:
  std::optional<std::string> find_fact(std::string_view) override { return fact; }
  void save_fact(std::string_view, std::string_view value) override { fact = value; }
  void save_clock_mark(const catalog::ClockMark&) override {}
  std::optional<catalog::ClockMark> find_clock_mark() override { return std::nullopt; }
  std::optional<std::string> fact;
};

}  // namespace

TEST_CASE("a lock keeps points for its days, and no longer than a little", "[locks]") {
  Fixture fixture;
  fixture.pass(5 * kDayMs);
  images::PointId point = fixture.receive();
  CHECK_FALSE(fixture.is_locked(point));
  fixture.locks->set(kTenant, 7);
  CHECK(fixture.is_locked(point));
  CHECK(fixture.is_locked(images::PointId::random()));  // nobody knows how old it is
  fixture.pass(7 * kDayMs - 2 * kHourMs);
  CHECK(fixture.is_locked(point));
  fixture.pass(4 * kHourMs);
  CHECK_FALSE(fixture.is_locked(point));
  CHECK(fixture.is_locked(fixture.receive()));
  CHECK_THROWS_AS(fixture.locks->set(kTenant, 4000), base::Error);
  CHECK_THROWS_AS(fixture.locks->set(catalog::TenantName("nobody"), 7), base::Error);
}

TEST_CASE("turning the clock makes no point older", "[locks]") {
  Fixture fixture;
  fixture.pass(kDayMs);
  fixture.locks->set(kTenant, 7);
  images::PointId point = fixture.receive();
  fixture.pass(2 * kHourMs);
  SECTION("ahead") { fixture.turn(400 * kDayMs); }
  SECTION("ahead, and started again") {
    fixture.turn(400 * kDayMs);
    fixture.restart(kHourMs);
  }
  SECTION("ahead while it is off") {
    fixture.clock.set_wall(fixture.clock.wall_ms() + 400 * kDayMs);
    fixture.restart(0);
  }
  SECTION("back and ahead again") {
    fixture.turn(-400 * static_cast<int64_t>(kDayMs));
    fixture.pass(3 * kHourMs);
    fixture.turn(800 * kDayMs);
  }
  SECTION("received just after the clock was set back, before anybody noticed") {
    fixture.clock.set_wall(fixture.clock.wall_ms() - 4000 * kDayMs);
    point = fixture.receive();
    fixture.clock.pass(2000);
    fixture.turn(0);
    CHECK(fixture.is_locked(point));
    fixture.pass(2 * kHourMs);
  }
  SECTION("received by a clock that is years late") {
    fixture.turn(-4000 * static_cast<int64_t>(kDayMs));
    point = fixture.receive();
    CHECK(fixture.is_locked(point));
    fixture.pass(kHourMs / 2);
    CHECK(fixture.is_locked(point));
    fixture.turn(4000 * kDayMs);
  }
  CHECK(fixture.is_locked(point));
  fixture.pass(6 * kDayMs);
  CHECK(fixture.is_locked(point));
  fixture.pass(2 * kDayMs);
  CHECK_FALSE(fixture.is_locked(point));
}

TEST_CASE("a lock is raised at once and lowered late", "[locks]") {
  Fixture fixture;
  fixture.locks->set(kTenant, 7);
  TenantLock lock = fixture.locks->set(kTenant, 0);
  CHECK(lock.days == 7);
  CHECK(lock.next_days == 0u);
  CHECK(lock.until_next_ms == 7 * kDayMs);
  images::PointId point = fixture.receive();
  fixture.turn(400 * kDayMs);
  fixture.pass(6 * kDayMs);
  CHECK(fixture.locks->lock_of(kTenant).days == 7);
  CHECK(fixture.is_locked(point));
  SECTION("until it is there") {
    fixture.pass(kDayMs + kHourMs);
    CHECK(fixture.locks->lock_of(kTenant).days == 0);
    CHECK_FALSE(fixture.is_locked(point));
  }
  SECTION("somebody changes his mind") {
    CHECK(fixture.locks->set(kTenant, 14).days == 14);
    CHECK_FALSE(fixture.locks->lock_of(kTenant).next_days);
    fixture.pass(2 * kDayMs);
    CHECK(fixture.is_locked(point));
  }
  SECTION("asking again begins again") {
    fixture.locks->set(kTenant, 0);
    fixture.pass(2 * kDayMs);
    CHECK(fixture.locks->lock_of(kTenant).days == 7);
  }
}

TEST_CASE("whatever happens to the clock, no point is older than it is", "[locks]") {
  auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  Facts facts;
  base::ManualClock clock;
  auto lived = std::make_unique<LivedTime>(facts, clock);
  std::vector<std::pair<uint64_t, uint64_t>> received;  // by the wall clock, and by the steady one
  for (int i = 0; i < 400; ++i) {
    switch (random() % 5) {
      case 0:
        clock.set_wall(clock.wall_ms() + random() % (100 * kDayMs) - 50 * kDayMs);
        lived->tick();
        break;
      case 1:
        clock.pass(random() % (3 * kDayMs));
        lived = std::make_unique<LivedTime>(facts, clock);
        break;
      case 2: received.emplace_back(clock.wall_ms(), clock.steady_ms()); break;
      default:
        for (uint64_t left = random() % 24; left > 0; --left) {
          clock.pass(kHourMs);
          lived->tick();
        }
    }
    for (const auto& [wall_ms, at_ms] : received)
      REQUIRE(lived->age_ms(wall_ms) <= clock.steady_ms() - at_ms);
  }
}

TEST_CASE("samples are bounded", "[locks]") {
  constexpr uint64_t kKept = 3950, kMore = 150;  // hours
  Facts facts;
  base::ManualClock clock;
  uint64_t received_ms = clock.wall_ms();
  std::string samples;
  for (uint64_t hour = 0; hour < kKept; ++hour)
    samples += fmt::format(R"({}{{"lived": {}, "wall": {}}})", hour == 0 ? "" : ",", hour * kHourMs,
                           received_ms + hour * kHourMs);
  facts.fact = R"({"samples": [)" + samples + "]}";
  clock.pass((kKept - 1) * kHourMs);
  LivedTime lived(facts, clock);
  for (uint64_t hour = 0; hour < kMore; ++hour) {
    clock.pass(kHourMs);
    lived.tick();
  }
  CHECK(facts.fact->size() < 400'000);
  CHECK(lived.age_ms(received_ms) <= (kKept + kMore) * kHourMs);
  CHECK(lived.age_ms(received_ms) >= (kKept + kMore - 50) * kHourMs);
  LivedTime again(facts, clock);
  CHECK(again.age_ms(received_ms) >= (kKept + kMore - 50) * kHourMs);
}

}  // namespace appliance::points
