#include "appliance/retention/plan.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

#include "base/text.h"

namespace appliance::retention {
namespace {

using policy::kHourMs;
using policy::parse_retention;

int64_t utc(const char* text) { return static_cast<int64_t>(base::parse_time_ms(text)); }

const policy::TimeZone kUtc{"UTC"};

std::vector<Candidate> every_hour(const char* from, int64_t count) {
  std::vector<Candidate> points;
  for (int64_t hour = 0; hour < count; ++hour) {
    Candidate point;
    point.id = images::PointId::random();
    point.time_ms = utc(from) + hour * kHourMs;
    points.push_back(point);
  }
  return points;
}

std::vector<Decision> decide(const std::vector<Candidate>& points, const char* rule) {
  return plan(points, parse_retention(rule), kUtc);
}

size_t kept(const std::vector<Candidate>& points, const char* rule) {
  return points.size() - count_going(decide(points, rule));
}

const Decision& of(const std::vector<Decision>& decisions, const Candidate& point) {
  return *std::find_if(decisions.begin(), decisions.end(),
                       [&](const Decision& each) { return each.id == point.id; });
}

bool has_reason(const Decision& decision, const std::string& part) {
  return std::any_of(decision.reasons.begin(), decision.reasons.end(),
                     [&](const std::string& each) { return each.find(part) != std::string::npos; });
}

}  // namespace

TEST_CASE("retention keeps the newest of each period and never deletes the newest", "[retention]") {
  std::vector<Candidate> points = every_hour("2026-10-01T00:30", 24 * 40);
  CHECK(kept(points, "last 5") == 5);
  CHECK(kept(points, "all") == points.size());
  CHECK(kept(points, "hourly 10") == 10);
  CHECK(kept(points, "daily 7") == 7);
  CHECK(kept(points, "monthly 12") == 2);
  CHECK(kept(points, "yearly 3") == 1);
  // The newest is the last, the hourly, the daily, the weekly and the monthly at once.
  CHECK(kept(points, "last 1, hourly 1, daily 1, weekly 1, monthly 1") == 1);
  CHECK(kept(points, "last 3, daily 3") == 5);
  CHECK(of(decide(points, "last 1"), points.back()).stays);
  // Applied again, nothing more goes.
  std::vector<Candidate> rest;
  std::vector<Decision> decisions = decide(points, "last 3, daily 5, weekly 4");
  for (const Candidate& point : points) {
    if (of(decisions, point).stays) rest.push_back(point);
  }
  CHECK(count_going(decide(rest, "last 3, daily 5, weekly 4")) == 0);
}

TEST_CASE("each point says what keeps it, or why it goes", "[retention]") {
  std::vector<Candidate> points = every_hour("2026-10-01T00:30", 60);
  points[0].held = "for the auditor";
  points[1].use = "a VM needs it";
  points[2].is_damaged = true;
  std::vector<Decision> decisions = decide(points, "last 2, daily 2");
  CHECK(has_reason(of(decisions, points[59]), "the newest point"));
  CHECK(has_reason(of(decisions, points[59]), "last 2"));
  CHECK(has_reason(of(decisions, points[59]), "daily 2"));
  CHECK(has_reason(of(decisions, points[47]), "daily 2"));
  CHECK(has_reason(of(decisions, points[0]), "for the auditor"));
  CHECK_FALSE(of(decisions, points[0]).is_by_rule);
  CHECK(has_reason(of(decisions, points[1]), "a VM needs it"));
  CHECK(has_reason(of(decisions, points[2]), "damaged"));
  CHECK_FALSE(of(decisions, points[2]).stays);
  CHECK(has_reason(of(decisions, points[30]), "no rule"));
  for (const Decision& each : decisions) CHECK_FALSE(each.reasons.empty());
}

TEST_CASE("bad points take no good point's place", "[retention]") {
  std::vector<Candidate> points = every_hour("2026-10-01T00:30", 10);
  SECTION("three syncs of a guest that does not boot any more leave the last one that did") {
    points[6].verdict = TestVerdict::passed;
    for (size_t i = 7; i < 10; ++i) points[i].verdict = TestVerdict::failed;
    std::vector<Decision> decisions = decide(points, "last 3");
    for (size_t i = 4; i < 10; ++i) CHECK(of(decisions, points[i]).stays);
    CHECK_FALSE(of(decisions, points[3]).stays);
  }
  SECTION("however many there are, the last that passed and the last whole one stay") {
    points[0].verdict = TestVerdict::passed;
    for (size_t i = 2; i < 10; ++i) points[i].is_damaged = true;
    std::vector<Decision> decisions = decide(points, "last 1");
    CHECK(has_reason(of(decisions, points[0]), kNewestPassed));
    CHECK(has_reason(of(decisions, points[1]), "the newest undamaged point"));
    CHECK(of(decisions, points[9]).stays);
    // And the bad ones end, though no good one comes after them.
    CHECK(count_going(decisions) == 7);
  }
  SECTION("a passed point that was damaged since proves nothing") {
    points[3].verdict = TestVerdict::passed;
    points[5].verdict = TestVerdict::passed;
    points[5].is_damaged = true;
    CHECK(has_reason(of(decide(points, "last 1"), points[3]), kNewestPassed));
  }
}

TEST_CASE("a day's damaged points leave the day to its newest whole one", "[retention]") {
  std::vector<Candidate> points = every_hour("2026-10-01T00:00", 72);
  for (size_t i = 40; i < 48; ++i) points[i].is_damaged = true;
  std::vector<Decision> decisions = decide(points, "daily 3");
  CHECK(of(decisions, points[71]).stays);
  CHECK(of(decisions, points[39]).stays);
  CHECK(of(decisions, points[23]).stays);
  CHECK(of(decisions, points[47]).stays);  // beside it, as old as a daily may be
  CHECK(count_going(decisions) == 68);
}

TEST_CASE("a clock that was set back makes no new days", "[retention]") {
  std::vector<Candidate> points = every_hour("2026-10-01T00:30", 48);
  for (size_t i = 0; i < points.size(); ++i) points[i].order = i;
  // The clock was a day back for the last twelve hours.
  for (size_t i = 36; i < 48; ++i) points[i].time_ms -= policy::kDayMs;
  std::vector<Decision> decisions = decide(points, "daily 2");
  CHECK(decisions.front().id == points[47].id);
  CHECK(of(decisions, points[47]).stays);
  CHECK(of(decisions, points[35]).stays);
  CHECK(count_going(decisions) == 46);
}

// A dumb reading of the rules, for random points.
TEST_CASE("retention agrees with a plain model on random points", "[retention]") {
  auto seed = static_cast<uint32_t>(std::random_device{}());
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 200; ++round) {
    std::vector<Candidate> points;
    size_t count = random() % 60 + 1;
    for (size_t i = 0; i < count; ++i) {
      Candidate point;
      point.id = images::PointId::random();
      point.time_ms = utc("2026-01-01") + static_cast<int64_t>(random() % (90 * 24)) * kHourMs;
      point.is_damaged = random() % 5 == 0;
      if (random() % 3 == 0)
        point.verdict = random() % 2 == 0 ? TestVerdict::passed : TestVerdict::failed;
      if (random() % 20 == 0) point.held = "x";
      points.push_back(point);
    }
    uint32_t last = random() % 5, daily = random() % 5;
    if (last + daily == 0) last = 1;
    policy::Retention rule;
    rule.last = last;
    rule.daily = daily;
    std::vector<Decision> decisions = plan(points, rule, kUtc);
    // Newest first, as it says.
    for (size_t i = 1; i < decisions.size(); ++i)
      REQUIRE(decisions[i - 1].time_ms >= decisions[i].time_ms);
    size_t good = 0;
    std::vector<int64_t> days;
    bool whole_seen = false, passed_seen = false;
    for (size_t i = 0; i < decisions.size(); ++i) {
      const Candidate& point = *std::find_if(points.begin(), points.end(), [&](const auto& each) {
        return each.id == decisions[i].id;
      });
      bool must_stay = i == 0 || !point.held.empty();
      if (!point.is_damaged && !whole_seen) whole_seen = must_stay = true;
      if (!point.is_damaged && point.verdict == TestVerdict::passed && !passed_seen)
        passed_seen = must_stay = true;
      if (point.is_good()) {
        int64_t day = point.time_ms / policy::kDayMs;
        bool is_new_day = days.empty() || days.back() != day;
        if (is_new_day) days.push_back(day);
        bool by_rule = good < last || (is_new_day && days.size() <= daily);
        ++good;
        REQUIRE(decisions[i].is_by_rule == by_rule);
        REQUIRE(decisions[i].stays == (by_rule || must_stay));
      } else if (must_stay) {
        REQUIRE(decisions[i].stays);
      }
    }
  }
}

TEST_CASE("a run removes few points, and a new rule that removes many waits a day", "[retention]") {
  CHECK(most_of_run(3) == 5);
  CHECK(most_of_run(400) == 40);
  const uint64_t now = 1'700'000'000'000;
  // What removes little is followed at once.
  CHECK(look_at_rule({}, "last 3", 9, 3, now) == Grace{"last 3", "", 0});
  Grace waiting = look_at_rule({"all", "", 0}, "last 1", 9, 8, now);
  CHECK(waiting == Grace{"all", "last 1", now});
  CHECK(look_at_rule(waiting, "last 1", 9, 8, now + kGraceMs - 1) == waiting);
  CHECK(look_at_rule(waiting, "last 1", 9, 8, now + kGraceMs).applied == "last 1");
  // Taken back: the slip of the hand is forgotten, and a second one waits again.
  Grace back = look_at_rule(waiting, "all", 9, 0, now + 1);
  CHECK(back == Grace{"all", "", 0});
  // A clock that was set back begins again instead of waiting for the old future.
  CHECK(look_at_rule(waiting, "last 1", 9, 8, now - 5).wanted_since_ms == now - 5);
  // A rule that is followed stays so, whatever it has to remove.
  CHECK(look_at_rule({"last 3", "", 0}, "last 3", 100, 97, now).applied == "last 3");
}

}  // namespace appliance::retention
