#include "appliance/policy/policy.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "base/text.h"

namespace appliance::policy {
namespace {

int64_t utc(const char* text) { return static_cast<int64_t>(base::parse_time_ms(text)); }

// The first `count` instants after `from`, as people read them.
std::vector<std::string> runs(const std::vector<std::string>& rules, const char* zone,
                              const char* from, int count) {
  Schedule schedule = Schedule::parse(rules);
  TimeZone time_zone{zone};
  std::vector<std::string> list;
  int64_t now = utc(from);
  for (int i = 0; i < count; ++i) {
    auto next = schedule.next_after(now, time_zone);
    if (!next) break;
    REQUIRE(*next > now);
    now = *next;
    list.push_back(base::format_time_ms(static_cast<uint64_t>(now)));
  }
  return list;
}

using Times = std::vector<std::string>;

}  // namespace

TEST_CASE("an interval is counted from fixed instants and keeps to its window", "[policy]") {
  CHECK(runs({"every 15m"}, "UTC", "2026-11-24T10:01", 3) ==
        Times{"2026-11-24T10:15:00Z", "2026-11-24T10:30:00Z", "2026-11-24T10:45:00Z"});
  // 2026-11-27 is a Friday; Rome is one hour ahead in winter.
  CHECK(runs({"hourly mon-fri 7-19"}, "Europe/Rome", "2026-11-27T16:30", 3) ==
        Times{"2026-11-27T17:00:00Z", "2026-11-30T06:00:00Z", "2026-11-30T07:00:00Z"});
  CHECK(runs({"every 20s 22-6"}, "UTC", "2026-11-24T12:00:05", 1) == Times{"2026-11-24T22:00:00Z"});
  CHECK(runs({"every 1h", "daily 10:20"}, "UTC", "2026-11-24T10:00", 2) ==
        Times{"2026-11-24T10:20:00Z", "2026-11-24T11:00:00Z"});
}

TEST_CASE("wall-clock times follow the zone through the year", "[policy]") {
  CHECK(runs({"daily 22:00"}, "America/New_York", "2026-10-31T12:00", 3) ==
        Times{"2026-11-01T02:00:00Z", "2026-11-02T03:00:00Z", "2026-11-03T03:00:00Z"});
  CHECK(runs({"weekly sun 03:00"}, "UTC", "2026-11-24T00:00", 2) ==
        Times{"2026-11-29T03:00:00Z", "2026-12-06T03:00:00Z"});
  CHECK(runs({"daily 22:00 mon-fri"}, "UTC", "2026-11-27T22:00", 1) ==
        Times{"2026-11-30T22:00:00Z"});
}

TEST_CASE("a time that clocks jump over is due at the jump, once", "[policy]") {
  // Rome, 2026-03-29: 02:00 becomes 03:00, which is 01:00 UTC.
  CHECK(runs({"daily 02:30"}, "Europe/Rome", "2026-03-28T12:00", 2) ==
        Times{"2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"});
  CHECK(runs({"10,20,50 2 * * *"}, "Europe/Rome", "2026-03-28T12:00", 2) ==
        Times{"2026-03-29T01:00:00Z", "2026-03-30T00:10:00Z"});
  // Any hour: the hour that is not there has no runs of its own.
  CHECK(runs({"*/30 * * * *"}, "Europe/Rome", "2026-03-29T00:30", 3) ==
        Times{"2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z", "2026-03-29T02:00:00Z"});
}

TEST_CASE("an hour that comes twice runs a daily sync once and an hourly one twice", "[policy]") {
  // Rome, 2026-10-25: 03:00 becomes 02:00 at 01:00 UTC.
  CHECK(runs({"daily 02:30"}, "Europe/Rome", "2026-10-24T12:00", 2) ==
        Times{"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"});
  CHECK(runs({"30 * * * *"}, "Europe/Rome", "2026-10-25T00:00", 3) ==
        Times{"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"});
  // Lord Howe moves by half an hour: 2026-04-05, 02:00 becomes 01:30 at 15:00 UTC the day before.
  CHECK(runs({"daily 01:45"}, "Australia/Lord_Howe", "2026-04-04T12:00", 1) ==
        Times{"2026-04-04T14:45:00Z"});
}

TEST_CASE("a crontab's five fields mean what crontab means", "[policy]") {
  CHECK(runs({"0 0 29 2 *"}, "UTC", "2026-11-24T00:00", 1) == Times{"2028-02-29T00:00:00Z"});
  CHECK(runs({"0 12 1 * 0"}, "UTC", "2026-11-24T00:00", 2) ==  // the first, or a Sunday
        Times{"2026-11-29T12:00:00Z", "2026-12-01T12:00:00Z"});
  CHECK(runs({"5/20 8-9 * * mon-fri"}, "UTC", "2026-11-27T09:10", 2) ==
        Times{"2026-11-27T09:25:00Z", "2026-11-27T09:45:00Z"});
  CHECK(runs({"0 0 30 2 *"}, "UTC", "2026-11-24T00:00", 1).empty());
}

TEST_CASE("what is no schedule is refused with a sentence", "[policy]") {
  for (const char* bad :
       {"", "sometimes", "every", "every 0s", "every 99d", "every 1h mon-fru", "daily 25:00",
        "daily", "weekly 03:00", "60 * * * *", "* * 0 * *", "*/0 * * * *", "5-1 * * * *",
        "every 1h 7-7", "every 1h 7-19 8-9", "hourly 7"}) {
    INFO(bad);
    CHECK_THROWS_AS(Schedule::parse({bad}), base::Error);
  }
  CHECK(Schedule::parse({"off"}).is_off());
  CHECK_THROWS_AS(Schedule::parse({"off", "every 1h"}), base::Error);
  CHECK_THROWS_AS(TimeZone("Mars/Olympus"), base::Error);
}

TEST_CASE("jitter is the machine's own and stays below its bound", "[policy]") {
  CHECK(jitter_of("web", 60'000) == jitter_of("web", 60'000));
  CHECK(jitter_of("web", 60'000) != jitter_of("mail", 60'000));
  CHECK(jitter_of("web", 0) == 0);
  PolicyText text;
  text.name = "p";
  text.schedule = {"every 15m"};
  text.jitter = "5m";
  Policy policy = compile(text);
  int64_t due = *policy.next_due("web", utc("2026-11-24T10:05"));
  CHECK(due == utc("2026-11-24T10:15") + jitter_of("web", 5 * kMinuteMs));
  CHECK(*policy.next_due("web", due) == due + 15 * kMinuteMs);
  CHECK(*policy.next_due("web", due - 1) == due);
}

TEST_CASE("blackouts and bandwidth follow the policy's own clock", "[policy]") {
  PolicyText text;
  text.name = "p";
  text.timezone = "Europe/Rome";
  text.blackout = {"mon-fri 12:00-13:00"};
  text.bandwidth = "20M mon-fri 8-18, 100M";
  Policy policy = compile(text);
  CHECK(policy.in_blackout(utc("2026-11-24T11:30")));
  CHECK_FALSE(policy.in_blackout(utc("2026-11-24T12:00")));
  CHECK_FALSE(policy.in_blackout(utc("2026-11-28T11:30")));
  auto rate = [&](const char* time) {
    return rate_at(policy.bandwidth, policy.zone.local_of(utc(time)));
  };
  CHECK(rate("2026-11-24T07:00") == 20u << 20);
  CHECK(rate("2026-11-24T17:00") == 100u << 20);
  CHECK_FALSE(rate_at(parse_bandwidth("unlimited 1-2, 1M 3-4"), 0));
  CHECK_THROWS_AS(parse_bandwidth("5"), base::Error);
  CHECK_THROWS_AS(parse_bandwidth("5M,,"), base::Error);
}

TEST_CASE("a window past midnight belongs to the day it begins on", "[policy]") {
  Window window = parse_window({"fri", "22-6"});
  CHECK(window.contains(utc("2026-11-27T23:00")));
  CHECK(window.contains(utc("2026-11-28T05:59")));
  CHECK_FALSE(window.contains(utc("2026-11-28T06:00")));
  CHECK_FALSE(window.contains(utc("2026-11-28T23:00")));
  CHECK(parse_days("sat-mon") == (1 << 5 | 1 << 6 | 1));
}

TEST_CASE("a rule of retention that says nothing is refused", "[policy]") {
  for (const char* bad : {"", "last", "last 0", "weekly x", "fortnightly 3"}) {
    INFO(bad);
    CHECK_THROWS_AS(parse_retention(bad), base::Error);
  }
}

TEST_CASE("overdue is what should have a newer point, whatever the reason", "[policy]") {
  PolicyText text;
  text.name = "p";
  text.schedule = {"hourly mon-fri 7-19"};
  Policy policy = compile(text);
  // Friday's last point is not overdue over the weekend, but it is on Monday at 7:15.
  CHECK(overdue_at(policy, "web", utc("2026-11-27T18:00:10")) == utc("2026-11-30T07:15"));
  text.rpo = "2h";
  CHECK(overdue_at(compile(text), "web", utc("2026-11-27T18:00")) == utc("2026-11-27T20:00"));
  text.rpo = "";
  text.schedule = {"off"};
  CHECK(overdue_at(compile(text), "web", utc("2026-11-27T18:00")) == utc("2026-11-28T18:00"));
  text.schedule = {"every 10s"};
  CHECK(overdue_at(compile(text), "web", utc("2026-11-27T18:00:01")) == utc("2026-11-27T18:00:30"));
}

TEST_CASE("a policy survives being written and read", "[policy]") {
  PolicyText text;
  text.name = "p";
  text.schedule = {"every 5m", "daily 22:00"};
  text.blackout = {"12-13"};
  text.verification = "nightly 02:30";
  text.priority = 9;
  text.protect_new = true;
  PolicyText back = policy_from_json("p", policy_to_json(text));
  CHECK(policy_to_json(back) == policy_to_json(text));
  CHECK(compile(back).verification_minute == 150);
  text.verification = "hourly";
  CHECK_THROWS_AS(compile(text), base::Error);
  CHECK_THROWS_AS(policy_from_json("p", "{\"priority\": \"high\"}"), base::Error);
}

}  // namespace appliance::policy
