// What every FailbackRecords promises.
#include <catch2/catch.hpp>

#include "base/error.h"
#include "tests/appliance/catalog/catalogs.h"

namespace appliance::catalog {

TEST_CASE("records of failbacks keep the contract", "[catalog]") {
  auto fresh = make_catalog(GENERATE(from_range(catalog_kinds())));
  Failback row;
  row.tenant = TenantName(kDefaultTenant);
  row.machine = "shop";
  row.boot = "0102030405060708";
  row.host = HostId::random();
  row.host_name = "home";
  row.plan.target = R"({"in_place": true})";
  row.plan.at_ms = 77;
  row.plan.end = FailbackEnd::power_off;
  row.created_ms = 5;
  row.id = fresh->get().add_failback(row);
  CHECK(row.id == 1);

  SECTION("all of it is found again") {
    row.step = FailbackStep::starting;
    row.holder = "home";
    row.number = "ab";
    row.voided = "cd";
    row.point = images::PointId::random();
    row.is_paused = row.wants_switch = row.wants_cancel = row.wants_back = true;
    row.rounds = 3;
    row.problem = "it rains";
    fresh->get().save_failback(row);
    fresh->reopen();
    auto found = fresh->get().find_failback(row.id, TenantScope::all());
    REQUIRE(found);
    CHECK(found->step == row.step);
    CHECK(found->holder == "home");
    CHECK(found->number == "ab");
    CHECK(found->voided == "cd");
    CHECK(found->point == row.point);
    CHECK(found->host == row.host);
    CHECK(found->plan.at_ms == 77);
    CHECK(found->plan.end == FailbackEnd::power_off);
    CHECK(found->plan.target == row.plan.target);
    CHECK(found->is_paused);
    CHECK(found->wants_back);
    CHECK(found->rounds == 3);
    CHECK(found->problem == "it rains");
    CHECK_FALSE(found->ended_ms);
    CHECK_FALSE(fresh->get().find_failback(2, TenantScope::all()));
  }
  SECTION("an instant VM has one at a time") {
    CHECK_THROWS_AS(fresh->get().add_failback(row), base::Error);
    row.step = FailbackStep::done;
    row.ended_ms = 9;
    fresh->get().save_failback(row);
    CHECK(fresh->get().failbacks(TenantScope::all(), false, 10).empty());
    row.ended_ms.reset();
    CHECK(fresh->get().add_failback(row) == 2);
    CHECK(fresh->get().failbacks(TenantScope::all(), true, 10).at(0).id == 2);
    CHECK(fresh->get().failbacks(TenantScope::all(), false, 10).size() == 1);
  }
}

}  // namespace appliance::catalog
