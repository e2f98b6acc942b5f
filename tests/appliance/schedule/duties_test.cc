// What the appliance does by itself: one duty's failure is told, and is not the others'.
#include "appliance/schedule/duties.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <new>
#include <thread>

#include "appliance/catalog/catalog.h"
#include "appliance/schedule/alert_watch.h"
#include "appliance/schedule/old_rows.h"
#include "appliance/schedule/test_boot_schedule.h"
#include "base/error.h"
#include "base/scratch_directory.h"
#include "base/text.h"

namespace appliance::schedule {
namespace {

using namespace std::chrono_literals;
using alerts::Condition;

template <typename Condition>
bool comes_true(Condition condition) {
  auto deadline = std::chrono::steady_clock::now() + 20s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(2ms);
  }
  return true;
}

struct Book {
  base::ScratchDirectory scratch{"/tmp", "muletto-duties"};
  std::unique_ptr<catalog::Catalog> catalog =
      catalog::Catalog::open(scratch.path() + "/catalog.sqlite");
  alerts::AlertBook book{*catalog, {}};

  std::set<std::string> open() const {
    std::set<std::string> found;
    for (const catalog::Alert& alert : catalog->alerts(catalog::TenantScope::all(), false, 100))
      found.insert(alert.kind + " " + alert.subject);
    return found;
  }
};

struct TestsOnOrder : TestBoots {
  bool full = true;
  std::vector<std::string> ordered;  // "MACHINE WHY"

  void order(const catalog::TenantName&, const std::string& machine, const char* why) override {
    if (full) throw base::Error(base::ErrorCode::busy, "the queue is full");
    ordered.push_back(machine + " " + why);
  }
};

}  // namespace

TEST_CASE("a duty that fails is named, and the others continue", "[schedule]") {
  DutyRunner duties;
  std::atomic<bool> broken = true;
  std::atomic<int> others = 0;
  duties.add({"retention", "old points stay", 1ms, [&] {
                if (broken) throw base::Error(base::ErrorCode::unavailable, "libvirt is away");
              }});
  duties.add({"upkeep", "nothing is checked", 1ms, [&] {
                if (broken) throw std::bad_alloc();
              }});
  duties.add({"alerts", "nobody is told", 1ms, [&] { ++others; }});
  CHECK(duties.failures().empty());
  duties.start();
  REQUIRE(comes_true([&] { return duties.failures().size() == 2; }));
  DutyFailure failure = duties.failures().front();
  CHECK(failure.name == "retention");
  CHECK(failure.what == "old points stay");
  CHECK(failure.error == "libvirt is away");
  CHECK(failure.since_ms > 0);
  int before = others;
  CHECK(comes_true([&] { return others > before + 3; }));
  broken = false;
  CHECK(comes_true([&] { return duties.failures().empty(); }));
}

TEST_CASE("a duty that hangs is named, and the others continue", "[schedule]") {
  DutyRunner duties;
  std::atomic<bool> hangs = true;
  std::atomic<int> others = 0;
  duties.add({"upkeep", "nothing is checked", 1ms,
              [&] {
                while (hangs) std::this_thread::sleep_for(1ms);
              },
              10ms});
  duties.add({"alerts", "nobody is told", 1ms, [&] { ++others; }});
  duties.start();
  CHECK(comes_true([&] {
    auto failures = duties.failures();
    return failures.size() == 1 && failures.front().name == "upkeep" &&
           failures.front().error.find("has not finished") != std::string::npos;
  }));
  CHECK(comes_true([&] { return others > 3; }));
  hangs = false;
}

TEST_CASE("a place that cannot be asked keeps its alerts, and is one itself", "[schedule]") {
  Book book;
  bool away = false;
  std::vector<Condition> machines{{alerts::kMachineOverdue, "default", "web", "late"}};
  std::vector<AlertSource> sources{
      {"the instant VMs",
       {alerts::kInstantVmDown},
       [&](uint64_t) -> std::vector<Condition> {
         if (away) throw base::Error(base::ErrorCode::unavailable, "its folder is gone");
         return {{alerts::kInstantVmDown, "default", "mail", "it was cut off"}};
       }},
      {"machines", {alerts::kMachineOverdue}, [&](uint64_t) { return machines; }}};
  std::vector<Condition> failures;
  AlertWatch watch(book.book, sources, [&] { return failures; });
  watch.round(1000);
  CHECK(book.open() == std::set<std::string>{"instant-vm-down mail", "machine-overdue web"});
  away = true;
  machines.clear();
  failures.push_back({alerts::kDutyFailing, "default", "retention", "old points stay"});
  watch.round(2000);
  CHECK(book.open() == std::set<std::string>{"duty-failing retention",
                                             "duty-failing watch the instant VMs",
                                             "instant-vm-down mail"});
  away = false;
  failures.clear();
  watch.round(3000);
  CHECK(book.open() == std::set<std::string>{"instant-vm-down mail"});
}

TEST_CASE("an alert that cannot be written down is told of, and hides no other", "[schedule]") {
  Book book;
  AlertWatch watch(book.book,
                   {{"machines",
                     {alerts::kMachineOverdue},
                     [](uint64_t) -> std::vector<Condition> {
                       return {{alerts::kMachineOverdue, "a tenant that has gone", "web", "late"},
                               {alerts::kMachineOverdue, "default", "mail", "late"}};
                     }}},
                   [] { return std::vector<Condition>{}; });
  CHECK_THROWS_AS(watch.round(1000), base::Error);
  CHECK(book.open() == std::set<std::string>{"machine-overdue mail"});
}

TEST_CASE("a nightly test boot that could not be ordered is ordered later", "[schedule]") {
  Book book;
  images::PointSummary point;
  point.id = images::PointId::random();
  point.machine_name = "web";
  book.catalog->add_point("default", point);
  catalog::Protection protection;
  protection.tenant = "default";
  protection.machine = "web";
  protection.wanted = true;
  book.catalog->save_protection(protection);
  policy::PolicyText text;
  text.name = "default";
  text.verification = "nightly 02:00";
  book.catalog->set_policy("default", "default", policy::policy_to_json(text));
  TestsOnOrder tests;
  constexpr uint64_t kDay = 24 * 3'600'000;
  Policies policies(*book.catalog);
  TestBootSchedule nightly(*book.catalog, policies, tests, 100 * kDay);
  nightly.round(100 * kDay + 3'600'000);  // 01:00
  CHECK_THROWS_WITH(nightly.round(100 * kDay + 3 * 3'600'000),
                    Catch::Contains("no test boot of 'web': the queue is full"));
  CHECK_THROWS_AS(nightly.round(100 * kDay + 3 * 3'600'000 + 2000), base::Error);
  tests.full = false;
  nightly.round(100 * kDay + 3 * 3'600'000 + 4000);
  nightly.round(100 * kDay + 3 * 3'600'000 + 6000);
  CHECK(tests.ordered == std::vector<std::string>{"web nightly"});
}

TEST_CASE("a machine is tested after each sync if its policy says so", "[schedule]") {
  Book book;
  TestsOnOrder tests;
  tests.full = false;
  Policies policies(*book.catalog);
  TestBootSchedule schedule(*book.catalog, policies, tests, 0);
  policy::PolicyText text;
  text.name = "default";
  text.verification = "after-sync";
  book.catalog->set_policy("default", "default", policy::policy_to_json(text));
  schedule.committed("default", "web");  // nobody protects it
  CHECK(tests.ordered.empty());
  catalog::Protection protection;
  protection.tenant = "default";
  protection.machine = "web";
  protection.wanted = true;
  book.catalog->save_protection(protection);
  schedule.committed("default", "web");
  CHECK(tests.ordered == std::vector<std::string>{"web sync"});
  tests.full = true;
  CHECK_NOTHROW(schedule.committed("default", "web"));
  text.verification = "off";
  book.catalog->set_policy("default", "default", policy::policy_to_json(text));
  tests.full = false;
  schedule.committed("default", "web");
  CHECK(tests.ordered.size() == 1);
}

TEST_CASE("old rows go once an hour, and by no clock that is doubted", "[schedule]") {
  Book book;
  base::ManualClock clock;
  ClockTrust trust(*book.catalog, {&clock, "boot", {}});
  OldRows old_rows(*book.catalog, trust, clock);
  constexpr uint64_t kDay = 24 * 3'600'000;
  auto add_gap = [&](uint64_t days_ago) {
    for (uint64_t before : {2, 1}) {
      images::PointSummary point;
      point.id = images::PointId::random();
      point.machine_name = "web";
      point.time_ms = clock.wall_ms() - (days_ago + before) * kDay;
      point.dates = {point.time_ms, point.time_ms, false, false};
      book.catalog->add_point("default", point);
    }
  };
  auto has_gap = [&] { return book.catalog->worst_gap("default", "web", 0, 1ull << 60) > 0; };
  add_gap(150);
  REQUIRE(trust.look().trusted);
  clock.set_wall(clock.wall_ms() + 10 * kDay);
  old_rows.round();
  CHECK(has_gap());
  clock.set_wall(clock.wall_ms() - 10 * kDay);
  old_rows.round();
  CHECK(has_gap());
  clock.pass(3'600'000);
  old_rows.round();
  CHECK_FALSE(has_gap());
}

}  // namespace appliance::schedule
