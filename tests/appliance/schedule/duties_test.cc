// What the appliance does by itself: one duty's failure is told, and is not the others'.
#include "appliance/schedule/duties.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <new>
#include <thread>

#include "appliance/catalog/catalog.h"
#include "appliance/schedule/alert_watch.h"
#include "appliance/schedule/nightly_tests.h"
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

}  // namespace

TEST_CASE("a duty that fails is named, and the others go on", "[schedule]") {
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

TEST_CASE("a duty that hangs is named, and the others go on", "[schedule]") {
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
           failures.front().error.find("has not come to an end") != std::string::npos;
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
  auto policy = std::make_shared<const policy::Policy>(policy::compile(text));
  bool full = true;
  int ordered = 0;
  constexpr uint64_t kDay = 24 * 3'600'000;
  NightlyTests nightly(*book.catalog,
                       {[&](const std::string&, const std::string&) { return policy; },
                        [&](const std::string&, const std::string&) {
                          if (full) throw base::Error(base::ErrorCode::busy, "the queue is full");
                          ++ordered;
                        }},
                       100 * kDay);
  nightly.round(100 * kDay + 3'600'000);  // 01:00
  CHECK_THROWS_WITH(nightly.round(100 * kDay + 3 * 3'600'000),
                    Catch::Contains("no test boot of 'web': the queue is full"));
  CHECK_THROWS_AS(nightly.round(100 * kDay + 3 * 3'600'000 + 2000), base::Error);
  full = false;
  nightly.round(100 * kDay + 3 * 3'600'000 + 4000);
  nightly.round(100 * kDay + 3 * 3'600'000 + 6000);
  CHECK(ordered == 1);
}

}  // namespace appliance::schedule
