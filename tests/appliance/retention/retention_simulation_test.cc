// Two years of a machine's points, against a plain model of what must stay.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <random>

#include "tests/appliance/retention/retention_appliance.h"

namespace appliance::retention {
namespace {

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
    // That a reader has one open is seen when it is to be deleted, not when the rule is weighed.
    std::vector<ModelPoint> unread = points_;
    for (ModelPoint& each : unread) each.busy = false;
    std::vector<ModelPoint> after = must_stay(unread, last_, daily_);
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
    INFO("last " << last_ << ", daily " << daily_ << ", " << points_.size() << " points; "
                 << appliance_.alert(alerts::kRetentionHeld)
                 << appliance_.alert(alerts::kRetentionFailing));
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
  const char* given = std::getenv("MULETTO_TEST_SEED");
  uint32_t seed =
      given != nullptr ? static_cast<uint32_t>(std::stoul(given)) : std::random_device{}();
  INFO("replay with MULETTO_TEST_SEED=" << seed);
  Simulation simulation(seed);
  simulation.run(base::parse_time_ms("2026-02-01T00:00:00Z"));
  CHECK(simulation.step_count() > 250);
  CHECK(simulation.fire_count() > 0);
}

}  // namespace appliance::retention
