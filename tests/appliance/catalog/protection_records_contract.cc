// What every ProtectionRecords promises.
#include <catch2/catch.hpp>

#include "tests/appliance/catalog/catalogs.h"

namespace appliance::catalog {

using base::ErrorCode;

TEST_CASE("records of protections keep the contract", "[catalog]") {
  auto fresh = make_catalog(GENERATE(from_range(catalog_kinds())));
  ProtectionRecords* records = &fresh->get();
  const TenantName tenant(kDefaultTenant);
  Protection web;
  web.tenant = tenant;
  web.machine = "web";
  web.wanted = true;
  web.policy = "gold";
  web.noticed_ms = 5;

  SECTION("a policy is replaced as a whole, and stays while a machine has it") {
    records->set_policy(tenant, "gold", "{}");
    records->set_policy(tenant, "gold", R"({"priority": 9})");
    records->set_policy(tenant, "bronze", "{}");
    fresh->reopen();
    records = &fresh->get();
    auto policies = records->policies(tenant);
    REQUIRE(policies.size() == 2);
    CHECK(policies[0].first == "bronze");
    CHECK(policies[1].second == R"({"priority": 9})");
    records->save_protection(web);
    CHECK(code_of([&] { records->remove_policy(tenant, "gold"); }) == ErrorCode::busy);
    web.policy.clear();
    records->save_protection(web);
    records->remove_policy(tenant, "gold");
    CHECK(records->policies(tenant).size() == 1);
    CHECK(code_of([&] { records->remove_policy(tenant, "gold"); }) == ErrorCode::not_found);
    CHECK(code_of([&] { records->policies("gone"); }) == ErrorCode::not_found);
  }
  SECTION("a protection is replaced as a whole") {
    CHECK_FALSE(records->find_protection(tenant, "web"));
    records->save_protection(web);
    web.failures = 3;
    web.retry_ms = 99;
    web.last_error = "no route";
    web.begun_ms = 7;
    web.in_flight = true;
    web.to_forget = true;
    records->save_protection(web);
    fresh->reopen();
    records = &fresh->get();
    Protection known = *records->find_protection(tenant, "web");
    CHECK(known.wanted);
    CHECK(known.policy == "gold");
    CHECK(known.noticed_ms == 5);
    CHECK(known.begun_ms == 7);
    CHECK(known.in_flight);
    CHECK(known.to_forget);
    CHECK(known.failures == 3);
    CHECK(known.retry_ms == 99);
    CHECK(known.last_error == "no route");
    CHECK(records->protections(tenant).size() == 1);
    fresh->get().add_tenant("acme", 1);
    CHECK(records->protections("acme").empty());
  }
  SECTION("which rule removals follow is remembered for each machine") {
    CHECK(records->retention_mark(tenant, "web").applied.empty());
    records->save_retention_mark(tenant, "web", {"all", "", 0});
    records->save_retention_mark(tenant, "web", {"all", "last 3", 12});
    CHECK(records->retention_mark(tenant, "web").wanted == "last 3");
    CHECK(records->retention_mark(tenant, "web").wanted_since_ms == 12);
    CHECK(records->retention_mark(tenant, "db").applied.empty());
  }
  SECTION("a host brings new machines, but not without end") {
    Host alpha = enrolled(fresh->get(), "alpha"), beta = enrolled(fresh->get(), "beta");
    Noticed noticed = records->notice_machines(alpha, {"web", "db"}, true, 10);
    CHECK(noticed.machines == std::vector<std::string>{"web", "db"});
    CHECK(records->notice_machines(alpha, {"web", "db"}, false, 11).machines.empty());
    CHECK(records->notice_machines(beta, {"web"}, false, 12).machines.empty());
    CHECK(records->find_protection(tenant, "db")->wanted);
    CHECK(records->find_protection(tenant, "db")->noticed_ms == 10);
    std::vector<std::string> many;
    for (uint64_t i = 0; i < MachineRecords::kNewMachinesADay; ++i)
      many.push_back("vm" + std::to_string(i));
    noticed = records->notice_machines(alpha, many, true, 20);
    CHECK(noticed.machines.size() == MachineRecords::kNewMachinesADay - 2);
    CHECK(noticed.refused_count == 2);
    CHECK_FALSE(records->find_protection(tenant, many.back()));
    noticed = records->notice_machines(alpha, many, true, 20 + 25ull * 3'600'000);
    CHECK(noticed.machines.size() == 2);
  }
  SECTION("only the last order for a machine is known, and to whom it was given") {
    Host alpha = enrolled(fresh->get(), "alpha"), beta = enrolled(fresh->get(), "beta");
    records->save_order(tenant, "web", alpha.id, 41, 10);
    CHECK(records->was_ordered(tenant, "web", alpha.id, 41));
    records->save_order(tenant, "web", beta.id, 42, 11);
    CHECK_FALSE(records->was_ordered(tenant, "web", alpha.id, 41));
    CHECK_FALSE(records->was_ordered(tenant, "web", alpha.id, 42));
    CHECK_FALSE(records->was_ordered(tenant, "db", beta.id, 42));
    CHECK(records->was_ordered(tenant, "web", beta.id, 42));
  }
  SECTION("a clock that is set back makes no gap between points, and forgets none") {
    constexpr uint64_t kHour = 3'600'000, kYear = 365 * 24 * kHour;
    uint64_t order = 0;
    auto add = [&](uint64_t time_ms) {
      images::PointSummary point = make_point("web", time_ms);
      point.dates.order = ++order;
      fresh->get().add_point(tenant, point);
    };
    auto worst = [&] { return records->worst_gap(tenant, "web", 0, 10 * kYear); };
    add(2 * kYear);
    add(2 * kYear + 3 * kHour);
    CHECK(worst() == 3 * kHour);
    add(kYear);
    add(kYear + kHour);
    CHECK(worst() == 3 * kHour);
    CHECK(records->worst_gap(tenant, "web", 0, 2 * kYear) == kHour);
    CHECK(records->recovery_gaps(tenant, "web", 2 * kYear + 4 * kHour).worst_day_ms == 3 * kHour);
    CHECK(records->recovery_gaps(tenant, "web", 2 * kYear + 30 * kHour).worst_day_ms == 0);
    CHECK(records->recovery_gaps(tenant, "web", 2 * kYear + 30 * kHour).worst_week_ms == 3 * kHour);
    records->forget_gaps(2 * kYear);
    CHECK(worst() == 3 * kHour);
    records->forget_gaps(2 * kYear + 4 * kHour);
    CHECK(worst() == 0);
  }
}

}  // namespace appliance::catalog
