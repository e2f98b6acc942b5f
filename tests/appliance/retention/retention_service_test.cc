#include "appliance/retention/retention_service.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "appliance/catalog/retention_records.h"
#include "appliance/catalog/verification_records.h"
#include "appliance/policy/policy.h"
#include "appliance/schedule/clock_trust.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/faulty_file_system.h"
#include "base/scratch_directory.h"
#include "base/text.h"
#include "tests/images/store_model.h"

namespace appliance::retention {
namespace {

const std::string kTenant(catalog::kDefaultTenant);
constexpr uint64_t kHour = 3'600'000, kDay = 24 * kHour;

// One protected machine in a real store, with clocks that the test moves.
struct Appliance {
  // In memory where that is possible: thousands of small durable writes.
  base::ScratchDirectory scratch{std::filesystem::exists("/dev/shm") ? "/dev/shm" : "/tmp",
                                 "muletto-retention-test"};
  base::FaultyFileSystem files{base::real_file_system()};
  std::atomic<bool> is_broken = false;
  std::atomic<uint64_t> now_ms = base::parse_time_ms("2024-02-01T00:10:00Z");
  std::atomic<uint64_t> steady_ms = 1'000'000;
  std::string clock_problem;
  uint64_t order = 0;
  std::map<images::PointId, images::PointSummary> summaries;
  std::unique_ptr<catalog::Catalog> catalog =
      catalog::Catalog::open(scratch.path() + "/catalog.sqlite");
  stores::TenantStores stores{files, scratch.path() + "/stores", *catalog};
  jobs::JobRunner jobs{*catalog, {.thread_count = 2}};
  boot::PointPins pins;
  points::PointDeletion deletion{*catalog, stores, pins, {scratch.path(), {}}};
  RetentionService service{*catalog, stores, jobs, deletion, surroundings()};

  Appliance() {
    std::filesystem::create_directories(scratch.path() + "/vms");
    stores.open_existing();
    files.before_each([this](uint64_t) {
      if (is_broken) throw base::Error(base::ErrorCode::io, "the disk is on fire");
    });
  }
  ~Appliance() { jobs.stop(); }

  Surroundings surroundings() {
    Surroundings around;
    around.state_directory = scratch.path();
    around.now_ms = [this] { return now_ms.load(); };
    around.steady_ms = [this] { return steady_ms.load(); };
    around.clock_problem = [this] { return clock_problem; };
    return around;
  }

  void set_rule(const std::string& keep) {
    policy::PolicyText text;
    text.name = "gold";
    text.keep = keep;
    catalog->set_policy(kTenant, "gold", policy::policy_to_json(text));
  }

  void protect(const std::string& machine, bool wanted = true) {
    catalog::Protection protection;
    protection.tenant = kTenant;
    protection.machine = machine;
    protection.wanted = wanted;
    protection.policy = "gold";
    catalog->save_protection(protection);
  }

  images::PointId sync(const std::string& machine = "web") {
    auto writer = stores.writer(kTenant);
    images::ModelPoint point{machine, now_ms, {{"vda", {1, 2}}}};
    images::PointId id = images::sync_model_point(*writer, point, std::nullopt, nullptr);
    images::PointSummary summary;
    summary.id = id;
    summary.machine = writer->reader().hasher().machine_id(machine);
    summary.machine_name = machine;
    summary.time_ms = now_ms;
    summary.dates.order = ++order;
    catalog->add_point(kTenant, summary);
    summaries[id] = summary;
    return id;
  }

  // The store is opened again, which dates its points by the real clock: they get their own back.
  void repair() {
    is_broken = false;
    stores.look();
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (stores.standing(kTenant).state != stores::StoreState::ready &&
           std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      stores.look();
    }
    for (const images::PointId& id : listed()) catalog->add_point(kTenant, summaries.at(id));
  }

  void judge(const images::PointId& point, const char* verdict, bool settled = true) {
    catalog::Verification seen;
    seen.tenant = kTenant;
    seen.machine_name = "web";
    seen.point = point;
    seen.verdict = verdict;
    seen.reasons = seen.checks = seen.evidence = "[]";
    seen.started_ms = now_ms;
    seen.settled = settled;
    catalog->add_verification(seen, {});
  }

  size_t job_count() {
    return catalog->jobs({.state = {}, .kind = "retention", .subject = "", .limit = 100'000})
        .size();
  }
  void wait_for_jobs() {
    for (auto state : {catalog::JobState::queued, catalog::JobState::running}) {
      for (const catalog::Job& job :
           catalog->jobs({.state = state, .kind = "retention", .subject = "", .limit = 100}))
        jobs.wait(job.id, std::chrono::seconds(60));
    }
  }
  // A look, and what it orders.
  void look() {
    service.run();
    wait_for_jobs();
  }
  // Looks until nothing goes any more; pauses after failures and busy points are over.
  void settle() {
    for (;;) {
      auto before = listed();
      steady_ms += kHour + 1;
      look();
      if (listed() == before) return;
    }
  }

  std::set<images::PointId> listed() {
    std::set<images::PointId> ids;
    for (const catalog::PointRow& row : catalog->points(kTenant, "web")) ids.insert(row.summary.id);
    return ids;
  }
  std::set<images::PointId> stored() {
    std::set<images::PointId> ids;
    for (const auto& each : stores.writer(kTenant)->reader().points_of("web")) ids.insert(each.id);
    return ids;
  }
  std::string alert(const char* kind) {
    for (const alerts::Condition& each : service.conditions()) {
      if (each.kind == kind) return each.message;
    }
    return "";
  }
};

// What must be there, said as plainly as possible.
struct ModelPoint {
  images::PointId id;
  uint64_t time_ms = 0;
  bool damaged = false, failed = false, passed = false, held = false, busy = false;
  bool is_good() const { return !damaged && !failed; }
};

// "last N, daily D" over points that are sorted oldest first.
std::vector<ModelPoint> must_stay(const std::vector<ModelPoint>& points, size_t last,
                                  size_t daily) {
  std::set<size_t> stay;
  for (bool good : {true, false}) {
    size_t taken = 0;
    std::set<uint64_t> days;
    for (size_t i = points.size(); i-- > 0;) {
      if (points[i].is_good() != good) continue;
      uint64_t day = points[i].time_ms / kDay;
      size_t newer_good = 0;
      std::set<uint64_t> good_days;
      for (size_t k = i + 1; k < points.size(); ++k) {
        if (!points[k].is_good()) continue;
        ++newer_good;
        good_days.insert(points[k].time_ms / kDay);
      }
      if (taken < last && newer_good < last) {
        stay.insert(i);
        ++taken;
      }
      bool is_first_of_day = !days.contains(day) && (good || !good_days.contains(day));
      if (is_first_of_day && days.size() < daily && good_days.size() < daily) {
        stay.insert(i);
        days.insert(day);
      }
      if (good) days.insert(day);
    }
  }
  auto newest = [&](auto&& is_it) {
    for (size_t i = points.size(); i-- > 0;) {
      if (!is_it(points[i])) continue;
      stay.insert(i);
      return;
    }
  };
  newest([](const ModelPoint&) { return true; });
  newest([](const ModelPoint& each) { return !each.damaged; });
  newest([](const ModelPoint& each) { return !each.damaged && each.passed; });
  std::vector<ModelPoint> result;
  for (size_t i = 0; i < points.size(); ++i) {
    if (stay.contains(i) || points[i].held || points[i].busy) result.push_back(points[i]);
  }
  return result;
}

std::set<images::PointId> ids_of(const std::vector<ModelPoint>& points) {
  std::set<images::PointId> ids;
  for (const ModelPoint& each : points) ids.insert(each.id);
  return ids;
}

// Two years of a machine's life; after each step store, catalog and model agree.
class Simulation {
 public:
  explicit Simulation(uint32_t seed) : random_(seed) {
    appliance_.set_rule("last 4, daily 9");
    appliance_.protect("web");
  }

  void run(uint64_t until_ms) {
    while (appliance_.now_ms < until_ms) {
      uint64_t step = (one_in(9) ? random_() % 480 + 1 : random_() % 9 + 2) * kHour;
      appliance_.now_ms += step;
      appliance_.steady_ms += step;
      ModelPoint point;
      point.id = appliance_.sync();
      point.time_ms = appliance_.now_ms;
      points_.push_back(point);
      disturb();
      compare();
    }
  }

  size_t step_count() const { return step_count_; }
  size_t fire_count() const { return fire_count_; }

 private:
  bool one_in(uint32_t n) { return random_() % n == 0; }
  ModelPoint& any() { return points_[random_() % points_.size()]; }

  void disturb() {
    if (one_in(5)) verdict(one_in(3) ? any() : points_.back());
    if (one_in(12)) damage();
    if (one_in(20)) hold();
    if (one_in(10)) busy_.reset();
    for (ModelPoint& each : points_) each.busy = busy_ && each.id == busy_id_;
    if (one_in(15)) {
      ModelPoint& point = any();
      for (ModelPoint& each : points_) each.busy = false;
      busy_ = appliance_.stores.writer(kTenant)->reader().open_disk(point.id, "vda");
      busy_id_ = point.id;
      point.busy = true;
    }
    if (one_in(25)) distrust();
    if (one_in(25)) burn();
    if (one_in(40)) change_rule();
  }

  void verdict(ModelPoint& point) {
    point.passed = one_in(2);
    point.failed = !point.passed;
    appliance_.judge(point.id, point.passed ? "pass" : "fail");
    appliance_.judge(point.id, "inconclusive");  // says nothing
  }

  // A check names all that is damaged now.
  void damage() {
    if (one_in(2)) any().damaged = true;
    else
      for (ModelPoint& each : points_) each.damaged = false;
    std::vector<images::PointId> damaged;
    for (const ModelPoint& each : points_) {
      if (each.damaged) damaged.push_back(each.id);
    }
    appliance_.catalog->save_store_check(kTenant, {appliance_.now_ms, true, damaged.size(), ""},
                                         damaged);
  }

  void hold() {
    ModelPoint& point = any();
    point.held = !point.held;
    if (point.held) appliance_.deletion.hold(kTenant, {point.id, "test", appliance_.now_ms, {}});
    else REQUIRE(appliance_.catalog->release_point(kTenant, point.id));
  }

  // While the clock is not trusted nothing goes.
  void distrust() {
    auto before = appliance_.listed();
    appliance_.clock_problem = "it jumped";
    appliance_.look();
    REQUIRE(appliance_.listed() == before);
    appliance_.clock_problem.clear();
  }

  // The store's disk fails in the middle of a deletion, or before.
  void burn() {
    // A reader must not outlive the writer, which gives up in the fire.
    busy_.reset();
    for (ModelPoint& each : points_) each.busy = false;
    bool is_due = must_stay(points_, last_, daily_).size() < points_.size();
    appliance_.is_broken = true;
    appliance_.look();
    appliance_.repair();
    if (!is_due || appliance_.alert(alerts::kRetentionFailing).empty()) return;
    ++fire_count_;
    REQUIRE(appliance_.alert(alerts::kRetentionFailing).find("since 2") != std::string::npos);
    appliance_.steady_ms += kHour + 1;
  }

  // A new rule that removes much is followed after its day, not before.
  void change_rule() {
    appliance_.settle();
    points_ = must_stay(points_, last_, daily_);
    last_ = random_() % 6 + 1;
    daily_ = random_() % 14;
    appliance_.set_rule(daily_ == 0 ? "last " + std::to_string(last_)
                                    : "last " + std::to_string(last_) + ", daily " +
                                          std::to_string(daily_));
    std::vector<ModelPoint> after = must_stay(points_, last_, daily_);
    if ((points_.size() - after.size()) * 3 <= points_.size()) return;
    appliance_.settle();
    REQUIRE(appliance_.listed() == ids_of(points_));
    REQUIRE(appliance_.alert(alerts::kRetentionHeld).find("apply") != std::string::npos);
    appliance_.now_ms += kDay;
    appliance_.steady_ms += kDay;
  }

  void compare() {
    appliance_.settle();
    std::vector<ModelPoint> expected = must_stay(points_, last_, daily_);
    REQUIRE(appliance_.listed() == ids_of(expected));
    REQUIRE(appliance_.stored() == ids_of(expected));
    REQUIRE(appliance_.alert(alerts::kRetentionFailing).empty());
    points_ = std::move(expected);
    ++step_count_;
  }

  std::mt19937 random_;
  Appliance appliance_;
  std::vector<ModelPoint> points_;  // oldest first
  size_t last_ = 4, daily_ = 9;
  std::unique_ptr<images::DiskReader> busy_;
  images::PointId busy_id_;
  size_t step_count_ = 0, fire_count_ = 0;
};

}  // namespace

TEST_CASE("two years of points: those that must be there are, all others are gone",
          "[retention][slow]") {
  auto seed = static_cast<uint32_t>(std::random_device{}());
  INFO("seed " << seed);
  Simulation simulation(seed);
  simulation.run(base::parse_time_ms("2026-02-01T00:00:00Z"));
  CHECK(simulation.step_count() > 250);
  CHECK(simulation.fire_count() > 0);
}

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
    Applied none = appliance.service.apply({kTenant}, RetentionService::Haste::within_bounds);
    CHECK(none.jobs.empty());
    REQUIRE(none.held.size() == 1);
    Applied done = appliance.service.apply({kTenant, "gold"}, RetentionService::Haste::now);
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
  CHECK_THROWS_AS(appliance.service.apply({kTenant, "silver"}, RetentionService::Haste::now),
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
  CHECK_THAT(appliance.alert(alerts::kRetentionFailing), Catch::Contains("has not looked"));
}

}  // namespace appliance::retention
