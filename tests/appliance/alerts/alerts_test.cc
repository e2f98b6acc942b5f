#include <catch2/catch.hpp>
#include <filesystem>

#include "appliance/alerts/alert_book.h"
#include "appliance/catalog/catalog.h"
#include "base/error.h"
#include "base/scratch_directory.h"

namespace appliance::alerts {
namespace {

constexpr uint64_t kNow = 1'000'000'000;

MachineFacts late_machine() {
  MachineFacts machine;
  machine.tenant = "default";
  machine.name = "web";
  machine.wanted = true;
  machine.latest_ms = kNow - 7'200'000;
  machine.overdue_at_ms = kNow - 1;
  machine.host = HostFacts{"default", "alpha", false, true, kNow - 1000};
  return machine;
}

std::string overdue_message(const MachineFacts& machine) {
  for (const Condition& condition : conditions_of({{machine}, {}, {}}, kNow)) {
    if (condition.kind == kMachineOverdue) return condition.message;
  }
  return "";
}

}  // namespace

TEST_CASE("an overdue machine is an alert whatever the reason, and the reason is named",
          "[alerts]") {
  MachineFacts machine = late_machine();
  CHECK(overdue_message(machine).find("no sync has completed") != std::string::npos);
  machine.failures = 1;
  machine.last_error = "no room";
  CHECK(overdue_message(machine).find("no room") != std::string::npos);
  machine.host->last_seen_ms = kNow - kSilentAfterMs - 1;
  CHECK(overdue_message(machine).find("'alpha' has been silent") != std::string::npos);
  machine.host->revoked = true;
  CHECK(overdue_message(machine).find("revoked") != std::string::npos);
  machine.host.reset();
  CHECK(overdue_message(machine).find("no host") != std::string::npos);
  machine.schedule_off = true;
  CHECK(overdue_message(machine).find("is off") != std::string::npos);
  machine.wanted = false;
  CHECK(overdue_message(machine).find("not protected") != std::string::npos);
  machine.overdue_at_ms = kNow;
  CHECK(overdue_message(machine).empty());
}

TEST_CASE("a machine that no test boot has passed for long is an alert, whatever the tests said",
          "[alerts]") {
  MachineFacts machine = late_machine();
  machine.overdue_at_ms = kNow + 1;
  auto message = [&] {
    for (const Condition& condition : conditions_of({{machine}, {}, {}}, kNow)) {
      if (condition.kind == kVerificationOverdue) return condition.message;
    }
    return std::string();
  };
  CHECK(message().empty());  // verification is off, or there is nothing to test
  machine.verify_by_ms = kNow;
  CHECK(message().empty());
  machine.verify_by_ms = kNow - 1;
  CHECK_THAT(message(), Catch::Contains("no test boot of it has ever passed; none has run"));
  machine.last_passed_ms = 1000;
  machine.last_verdict = "inconclusive";
  CHECK_THAT(message(), Catch::Contains("1970-01-01") && Catch::Contains("inconclusive"));
}

TEST_CASE("hosts, stores and failing syncs have their alerts", "[alerts]") {
  MachineFacts machine = late_machine();
  machine.overdue_at_ms = kNow + 1;
  machine.failures = kFailingAfter;
  HostFacts silent{"default", "alpha", false, true, kNow - kSilentAfterMs - 1};
  HostFacts one_shot{"default", "beta", false, false, 0};
  auto found = conditions_of({{machine},
                              {silent, one_shot},
                              {{"default", 9, 100},
                               {"other", 10, 100, kNow, 2, 3},
                               {"third", 10, 100, kNow, 0, 1, "Why."}}},
                             kNow);
  REQUIRE(found.size() == 5);
  CHECK(found[0].kind == kSyncFailing);
  CHECK(found[1].subject == "alpha");
  CHECK(found[2].kind == kStoreNearlyFull);
  CHECK(found[3].kind == kPointsDamaged);
  CHECK(found[3].subject == "other");
  CHECK(found[3].message.find("2 damaged points") != std::string::npos);
  CHECK(found[4].kind == kStoreDamaged);
  CHECK(found[4].message.find("1 problem; no point is affected: Why.") != std::string::npos);
}

TEST_CASE("a wrong clock is an alert that says whose, and how wrong", "[alerts]") {
  Facts facts;
  HostFacts host{"default", "alpha", false, true, kNow};
  host.clock_machine = "web";
  host.clock_note = "the host's clock was 300 d 0 h ahead";
  facts.hosts = {host};
  facts.clock_problem = "the appliance's clock jumped";
  auto found = conditions_of(facts, kNow);
  REQUIRE(found.size() == 2);
  CHECK(found[0].kind == kClockWrong);
  CHECK(found[0].subject == "alpha");
  CHECK(found[0].message.find("of 'web', the host's clock was 300 d 0 h ahead") !=
        std::string::npos);
  CHECK(found[1].kind == kApplianceClock);
  CHECK(found[1].message == facts.clock_problem);
  facts.hosts.front().revoked = true;
  facts.clock_problem.clear();
  CHECK(conditions_of(facts, kNow).empty());
}

TEST_CASE("alerts open once, close when the condition is gone, and open again", "[alerts]") {
  base::ScratchDirectory scratch(std::filesystem::temp_directory_path().string(), "muletto-alerts");
  auto catalog = catalog::Catalog::open(scratch.path() + "/catalog.sqlite");
  std::vector<std::string> told;
  AlertBook book(*catalog, [&](const catalog::Alert& alert, AlertChange change) {
    told.push_back((change == AlertChange::opened ? "+" : "-") + alert.subject);
  });
  Condition web{kMachineOverdue, "default", "web", "late"};
  Condition mail{kVerificationFailed, "default", "mail", "black screen"};
  book.raise(mail, kNow);
  book.settle({kMachineOverdue}, {web}, kNow);
  web.message = "later";
  book.settle({kMachineOverdue}, {web}, kNow + 1);
  CHECK(told == std::vector<std::string>{"+mail", "+web"});
  auto open = catalog->alerts(catalog::TenantName("default"), false, 10);
  REQUIRE(open.size() == 2);
  CHECK(open[0].message == "later");
  CHECK(open[0].opened_ms == kNow);
  catalog->acknowledge_alert(open[0].id, catalog::TenantScope::all(), {"root", ""}, kNow + 2);
  book.settle({kMachineOverdue}, {}, kNow + 3);
  CHECK(catalog->alerts(catalog::TenantScope::all(), false, 10).size() ==
        1);  // mail is not of the settled kinds
  book.settle({kMachineOverdue}, {web}, kNow + 4);
  auto all = catalog->alerts(catalog::TenantScope::all(), true, 10);
  REQUIRE(all.size() == 3);
  CHECK_FALSE(all[0].acknowledged_ms);
  CHECK_THROWS_AS(catalog->acknowledge_alert(99, catalog::TenantScope::all(), {}, kNow),
                  base::Error);
}

TEST_CASE("a machine that runs in production and is not synced is an alert", "[alerts]") {
  MachineFacts machine;
  machine.tenant = "default";
  machine.name = "web";
  machine.wanted = true;
  machine.overdue_at_ms = UINT64_MAX;
  CHECK(conditions_of({{machine}, {}, {}}, 1000).empty());
  machine.timeline_vm = "1f2e3d4c";
  auto found = conditions_of({{machine}, {}, {}}, 1000);
  REQUIRE(found.size() == 1);
  CHECK(found[0].kind == kTimelineTaken);
  CHECK(found[0].message.find("1f2e3d4c") != std::string::npos);
}

}  // namespace appliance::alerts
