#include "appliance/retention/retention_service.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/appliance/retention/retention_appliance.h"

namespace appliance::retention {

TEST_CASE("a rule that would remove much waits a day, and says so; apply does it now",
          "[retention]") {
  Appliance appliance;
  appliance.set_rule("all");
  appliance.protect("web");
  for (int i = 0; i < 30; ++i) {
    appliance.sync();
    appliance.now_ms += kHour;
  }
  appliance.settle();
  appliance.set_rule("last 1");
  appliance.settle();
  CHECK(appliance.listed().size() == 30);
  CHECK(appliance.job_count() == 0);
  CHECK_THAT(appliance.alert(alerts::kRetentionHeld), Catch::Contains("would remove 29 of 30"));
  CHECK_THAT(appliance.alert(alerts::kRetentionHeld), Catch::Contains("apply --machine web --now"));

  SECTION("taken back within the day, nothing is lost") {
    appliance.set_rule("all");
    appliance.settle();
    CHECK(appliance.alert(alerts::kRetentionHeld).empty());
    appliance.now_ms += 2 * kDay;
    appliance.settle();
    CHECK(appliance.listed().size() == 30);
  }
  SECTION("after a day it is followed, a few points a look") {
    appliance.now_ms += kDay;
    appliance.look();
    CHECK(appliance.listed().size() == 25);
    appliance.settle();
    CHECK(appliance.listed().size() == 1);
    CHECK(appliance.alert(alerts::kRetentionHeld).empty());
  }
  SECTION("by order it is followed at once, and in one job") {
    Applied none = appliance.service.apply({kTenant}, RetentionService::Haste::within_bounds,
                                           access::Requester("root"));
    CHECK(none.jobs.empty());
    REQUIRE(none.held.size() == 1);
    Applied done = appliance.service.apply({kTenant, "gold"}, RetentionService::Haste::now,
                                           access::Requester("root"));
    CHECK(done.jobs.size() == 1);
    appliance.wait_for_jobs();
    CHECK(appliance.listed().size() == 1);
    CHECK(appliance.stored() == appliance.listed());
  }
  SECTION("a machine that is not protected keeps everything, and has a grace again afterwards") {
    appliance.protect("web", false);
    appliance.now_ms += 2 * kDay;
    appliance.settle();
    appliance.protect("web");
    appliance.settle();
    CHECK(appliance.listed().size() == 30);
    CHECK_FALSE(appliance.alert(alerts::kRetentionHeld).empty());
  }
  CHECK_THROWS_AS(appliance.service.apply({kTenant, "silver"}, RetentionService::Haste::now,
                                          access::Requester("root")),
                  base::Error);
}

TEST_CASE("a preview says what would become of each point, and changes nothing", "[retention]") {
  Appliance appliance;
  appliance.set_rule("last 2");
  appliance.protect("web");
  for (int i = 0; i < 6; ++i) {
    appliance.sync();
    appliance.now_ms += kHour;
  }
  std::vector<MachinePlan> plans = appliance.service.preview({kTenant, "", "web"}, "last 1");
  REQUIRE(plans.size() == 1);
  CHECK(plans[0].going == 5);
  CHECK(plans[0].held.empty());
  CHECK(appliance.service.preview({kTenant})[0].waits_until_ms);
  CHECK(appliance.listed().size() == 6);
  CHECK(appliance.catalog->retention_mark(kTenant, "web").wanted.empty());
  CHECK_THROWS_AS(appliance.service.preview({kTenant}, "last x"), base::Error);
  CHECK_THROWS_AS(appliance.service.preview({kTenant, "", "nobody"}), base::Error);
}

TEST_CASE("a failing store is an alert and one job at each growing pause, not one a minute",
          "[retention]") {
  Appliance appliance;
  appliance.set_rule("last 2");
  appliance.protect("web");
  appliance.sync();
  appliance.look();  // the rule is in force
  for (int i = 0; i < 5; ++i) {
    appliance.now_ms += kHour;
    appliance.sync();
  }
  appliance.is_broken = true;
  for (int minute = 0; minute < 60; ++minute) {
    appliance.look();
    appliance.steady_ms += 60'000;
  }
  CHECK(appliance.job_count() <= 7);
  CHECK_THAT(appliance.alert(alerts::kRetentionFailing), Catch::Contains("web"));
  CHECK_THAT(appliance.alert(alerts::kRetentionFailing), Catch::Contains("on fire"));
  appliance.repair();
  appliance.settle();
  CHECK(appliance.alert(alerts::kRetentionFailing).empty());
  CHECK(appliance.stored().size() == 2);
}

TEST_CASE("points in use make no job, and one that a reader has open no job a minute",
          "[retention]") {
  Appliance appliance;
  appliance.set_rule("last 1");
  appliance.protect("web");
  images::PointId first = appliance.sync();
  appliance.look();
  appliance.now_ms += kHour;
  appliance.sync();
  auto open = appliance.stores.writer(kTenant)->reader().open_disk(first, "vda");
  CHECK(appliance.service.preview({kTenant})[0].going == 1);
  for (int minute = 0; minute < 30; ++minute) {
    appliance.look();
    appliance.steady_ms += 60'000;
  }
  CHECK(appliance.listed().size() == 2);
  CHECK(appliance.job_count() <= 3);
  open.reset();
  appliance.settle();
  CHECK(appliance.listed().size() == 1);
}

TEST_CASE("what it cannot know keeps everything: clock, records of boots, policy", "[retention]") {
  Appliance appliance;
  appliance.set_rule("last 2");
  appliance.protect("web");
  appliance.sync();
  appliance.look();
  for (int i = 0; i < 5; ++i) {
    appliance.now_ms += kHour;
    appliance.sync();
  }
  SECTION("the clock is not trusted") {
    appliance.clock_problem = "it jumped by a year";
    appliance.look();
    CHECK_THAT(appliance.alert(alerts::kRetentionHeld), Catch::Contains("jumped by a year"));
  }
  SECTION("a record of a boot cannot be read") {
    std::string folder = appliance.scratch.path() + "/vms/0123456789abcdef";
    std::filesystem::create_directories(folder);
    std::ofstream(folder + "/boot.json") << "rubbish";
    appliance.look();
    CHECK_THAT(appliance.alert(alerts::kRetentionHeld), Catch::Contains("cannot be read"));
  }
  SECTION("the policy cannot be read") {
    appliance.catalog->set_policy(kTenant, "gold", "rubbish");
    appliance.look();
    CHECK_THAT(appliance.alert(alerts::kRetentionHeld), Catch::Contains("everything is kept"));
  }
  CHECK(appliance.job_count() == 0);
  CHECK(appliance.listed().size() == 6);
}

TEST_CASE("a clock that jumps a year ahead deletes nothing, and is followed again when it is right",
          "[retention]") {
  base::ManualClock clock;
  Appliance appliance;
  schedule::ClockTrust trust(*appliance.catalog, {&clock, "boot", [] { return false; }});
  Surroundings around = appliance.surroundings();
  around.now_ms = [&] { return clock.wall_ms(); };
  around.steady_ms = [&] { return clock.steady_ms(); };
  around.clock_problem = [&] { return trust.look().problem; };
  RetentionService service(*appliance.catalog, appliance.stores, appliance.jobs, appliance.deletion,
                           around);
  appliance.set_rule("daily 3");
  appliance.protect("web");
  REQUIRE(trust.look().trusted);
  for (int i = 0; i < 5; ++i) {
    appliance.now_ms = clock.wall_ms();
    appliance.sync();
    service.run();
    appliance.wait_for_jobs();
    clock.pass(kDay);
    REQUIRE(trust.look().trusted);
  }
  CHECK(appliance.listed().size() == 3);
  appliance.now_ms = clock.wall_ms();
  appliance.sync();
  const uint64_t right = clock.wall_ms();
  clock.set_wall(right + 365 * kDay);
  service.run();
  appliance.wait_for_jobs();
  CHECK(appliance.listed().size() == 4);
  REQUIRE_FALSE(service.conditions().empty());
  CHECK(service.conditions()[0].kind == alerts::kRetentionHeld);
  clock.set_wall(right);
  service.run();
  appliance.wait_for_jobs();
  CHECK(appliance.listed().size() == 3);
}

TEST_CASE("the last point that passed stays, and that newer ones failed is an alert",
          "[retention]") {
  Appliance appliance;
  appliance.set_rule("last 2");
  appliance.protect("web");
  images::PointId good = appliance.sync();
  appliance.judge(good, "pass");
  appliance.look();
  std::vector<images::PointId> rest;
  for (int i = 0; i < 9; ++i) {
    appliance.now_ms += kHour;
    rest.push_back(appliance.sync());
  }
  appliance.judge(rest[8], "fail");
  appliance.settle();
  CHECK(appliance.listed() == std::set<images::PointId>{good, rest[6], rest[7], rest[8]});
  appliance.judge(rest[7], "pass", false);  // not certain yet
  appliance.settle();
  CHECK(appliance.listed().contains(good));
  CHECK_THAT(appliance.alert(alerts::kRetentionHeld), Catch::Contains("passed its test boot"));
  appliance.judge(rest[7], "pass");
  appliance.settle();
  CHECK_FALSE(appliance.listed().contains(good));
  CHECK(appliance.alert(alerts::kRetentionHeld).empty());
}

TEST_CASE("a thread that does not come round is an alert", "[retention]") {
  Appliance appliance;
  appliance.service.start();
  CHECK(appliance.alert(alerts::kRetentionFailing).empty());
  appliance.service.stop();
  appliance.steady_ms += 11 * 60'000;
  CHECK_THAT(appliance.alert(alerts::kRetentionFailing), Catch::Contains("has not examined"));
}

}  // namespace appliance::retention
