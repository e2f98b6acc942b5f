// What every MachineRecords promises.
#include <catch2/catch.hpp>

#include "tests/appliance/catalog/catalogs.h"

namespace appliance::catalog {

using base::ErrorCode;

TEST_CASE("records of machines keep the contract", "[catalog]") {
  auto fresh = make_catalog(GENERATE(from_range(catalog_kinds())));
  Catalog& catalog = fresh->get();
  MachineRecords* records = &catalog;
  const TenantName tenant(kDefaultTenant);

  SECTION("a machine belongs to the host that first wrote it") {
    Host alpha = enrolled(catalog, "alpha"), beta = enrolled(catalog, "beta");
    images::PointSummary point = make_point("web", 100);
    auto claim = [&](const Host& host) {
      return records->claim_machine(tenant, point.machine, "web", host.id);
    };
    CHECK(claim(alpha).host == alpha.id);
    CHECK(claim(alpha).id == point.machine);
    CHECK(code_of([&] { claim(beta); }) == ErrorCode::unauthorized);
    records->assign_machine(tenant, "web", beta.id);
    CHECK(claim(beta).host_name == "beta");
    records->assign_machine(tenant, "web", std::nullopt);
    CHECK_FALSE(records->machine(tenant, "web").host);
    CHECK(code_of([&] { records->assign_machine(tenant, "db", beta.id); }) == ErrorCode::not_found);
    CHECK(code_of([&] {
            records->claim_machine(tenant, images::MachineId::random(), "", alpha.id);
          }) == ErrorCode::invalid_argument);
  }
  SECTION("a machine is known by its name within a tenant") {
    Host alpha = enrolled(catalog, "alpha");
    records->claim_machine(tenant, make_point("web", 1).machine, "web", alpha.id);
    records->claim_machine(tenant, make_point("db", 1).machine, "db", alpha.id);
    fresh->reopen();
    records = &fresh->get();
    REQUIRE(records->machines(tenant).size() == 2);
    CHECK(records->machines(tenant).front().name == "db");
    CHECK(records->find_machine(tenant, "web")->point_count == 0);
    CHECK_FALSE(records->find_machine(tenant, "mail"));
    CHECK(code_of([&] { records->machine(tenant, "mail"); }) == ErrorCode::not_found);
    CHECK(code_of([&] { records->machines(TenantName("gone")); }) == ErrorCode::not_found);
    fresh->get().add_tenant("acme", 1);
    CHECK(records->machines(TenantName("acme")).empty());
    CHECK_FALSE(records->find_machine("acme", "web"));
  }
  SECTION("histories count points and test boots by periods of 24 hours") {
    constexpr uint64_t kHour = 3'600'000;
    const uint64_t now = 400 * 24 * kHour;
    std::vector<images::PointSummary> points;
    for (uint64_t age : {1 * kHour, 23 * kHour, 25 * kHour, 29 * 24 * kHour, 31 * 24 * kHour})
      points.push_back(make_point("web", now - age));
    points.push_back(make_point("ahead", now + kHour));
    catalog.set_points(tenant, points);
    auto test = [&](const char* verdict, uint64_t age) {
      Verification seen;
      seen.tenant = tenant;
      seen.machine_name = "web";
      seen.point = images::PointId::random();
      seen.why = "nightly";
      seen.verdict = verdict;
      seen.reasons = seen.checks = seen.evidence = "[]";
      seen.started_ms = now - age;
      seen.recovery_ms =
          verdict == std::string("pass") ? std::optional<uint64_t>(age) : std::nullopt;
      return catalog.add_verification(seen, {});
    };
    test("pass", 60 * 24 * kHour);
    test("pass", 26 * kHour);
    test("inconclusive", 5 * kHour);
    int64_t newest = test("fail", 2 * kHour);
    MachineHistories histories = records->machine_histories(tenant, now);
    const MachineHistory& web = histories.at("web");
    REQUIRE(web.days.size() == kHistoryDays);
    CHECK(web.days[0].point_count == 2);
    CHECK(web.days[1].point_count == 1);
    CHECK(web.days[29].point_count == 1);
    CHECK(web.days[0].fail_count == 1);
    CHECK(web.days[0].pass_count == 0);
    CHECK(web.days[1].pass_count == 1);
    REQUIRE(web.newest_test);
    CHECK(web.newest_test->number == newest);
    CHECK(web.newest_test->verdict == "fail");
    REQUIRE(web.recovery_times.size() == 1);
    CHECK(web.recovery_times[0].recovery_ms == 26 * kHour);
    CHECK(histories.at("ahead").days[0].point_count == 1);
    catalog.add_tenant("acme", 1);
    CHECK(records->machine_histories(TenantName("acme"), now).empty());
  }
  SECTION("points that nobody's host wrote are not for the first agent that comes along") {
    Host alpha = enrolled(catalog, "alpha");
    images::PointSummary point = make_point("imported", 100);
    catalog.set_points(tenant, {point});
    auto claim = [&] { records->claim_machine(tenant, point.machine, "imported", alpha.id); };
    CHECK(code_of(claim) == ErrorCode::unauthorized);
    records->assign_machine(tenant, "imported", alpha.id);
    claim();
  }
  SECTION("the latest point is the last of its timeline, whatever its times say") {
    images::PointSummary first = make_point("web", 5000), second = make_point("web", 3000);
    first.dates = {9000, 10, false, true};
    second.dates = {2900, 11, false, false};
    catalog.set_points(tenant, {second, first});
    Machine machine = records->machine(tenant, "web");
    CHECK(machine.point_count == 2);
    CHECK(machine.latest_point == second.id);
    CHECK(machine.latest_ms == 3000);
    CHECK(machine.latest_dates == second.dates);
    CHECK(machine.size == second.size);
    // An old one that its host alone has dated, and into the future, gives way to any other.
    images::PointSummary ahead = make_point("web", images::kLatestTime_ms);
    ahead.dates.dated_by_host = true;
    catalog.add_point(tenant, ahead);
    CHECK(records->machine(tenant, "web").latest_point == second.id);
    catalog.set_points(tenant, {ahead});
    CHECK(records->machine(tenant, "web").latest_point == ahead.id);
  }
  SECTION("a host cannot make machines without end") {
    Host alpha = enrolled(catalog, "alpha");
    for (uint64_t i = 0; i < MachineRecords::kNewMachinesADay; ++i) {
      std::string name = "vm" + std::to_string(i);
      records->claim_machine(tenant, make_point(name, 1).machine, name, alpha.id);
    }
    CHECK(code_of([&] {
            records->claim_machine(tenant, make_point("one more", 1).machine, "one more", alpha.id);
          }) == ErrorCode::no_space);
    records->claim_machine(tenant, make_point("vm0", 1).machine, "vm0", alpha.id);
  }
}

TEST_CASE("a forgotten machine leaves nothing; those of others and other subjects stay",
          "[catalog]") {
  auto fresh = make_catalog(GENERATE(from_range(catalog_kinds())));
  Catalog& catalog = fresh->get();
  MachineRecords& records = catalog;
  const TenantName tenant(kDefaultTenant);
  Host alpha = enrolled(catalog, "alpha");
  images::PointSummary first = make_point("web", 1000), second = make_point("web", 2000);
  for (const images::PointSummary& point : {first, second, make_point("db", 3000)}) {
    catalog.add_point(tenant, point);
    catalog.assign_machine(tenant, point.machine_name, alpha.id);
    Verification seen;
    seen.tenant = tenant;
    seen.machine_name = point.machine_name;
    seen.point = point.id;
    seen.verdict = "pass";
    catalog.add_verification(seen, {{1, "text", {0x89}}});
    Protection protection;
    protection.tenant = tenant;
    protection.machine = point.machine_name;
    catalog.save_protection(protection);
    catalog.save_retention_mark(tenant, point.machine_name, {"all", "", 0});
  }
  for (const char* kind : {"machine-overdue", "host-silent"}) {
    Alert alert;
    alert.tenant = tenant;
    alert.kind = kind;
    alert.subject = "web";
    catalog.open_alert(alert);
  }
  MachineTraces traces = records.machine_traces(tenant, "web");
  CHECK(traces.is_known);
  CHECK(traces.is_protected);
  CHECK(traces.point_count == 2);
  CHECK(traces.test_boot_count == 2);
  CHECK(traces.alert_count == 1);
  CHECK(code_of([&] { records.forget_machine(tenant, "web", 5000); }) == ErrorCode::busy);
  CHECK(records.machine_traces(tenant, "web").test_boot_count == 2);
  catalog.remove_point(tenant, first.id);
  catalog.remove_point(tenant, second.id);
  records.forget_machine(tenant, "web", 5000);
  traces = records.machine_traces(tenant, "web");
  CHECK_FALSE(traces.is_known);
  CHECK_FALSE(traces.is_protected);
  CHECK(traces.test_boot_count == 0);
  CHECK(catalog.retention_mark(tenant, "web").applied.empty());
  CHECK(catalog.worst_gap(tenant, "web", 0, 1u << 30) == 0);
  auto open = catalog.alerts(tenant, false, 10);
  REQUIRE(open.size() == 1);
  CHECK(open[0].kind == "host-silent");
  CHECK(records.machine_traces(tenant, "db").test_boot_count == 1);
  CHECK(records.machine(tenant, "db").host == alpha.id);
}

}  // namespace appliance::catalog
