// What every AlertRecords promises.
#include <catch2/catch.hpp>

#include "tests/appliance/catalog/catalogs.h"

namespace appliance::catalog {

TEST_CASE("records of alerts keep the contract", "[catalog]") {
  auto fresh = make_catalog(GENERATE(from_range(catalog_kinds())));
  AlertRecords* records = &fresh->get();
  const TenantName tenant(kDefaultTenant);
  Alert late;
  late.tenant = tenant;
  late.kind = "machine-overdue";
  late.subject = "web";
  late.message = "no point for 2 h";
  late.opened_ms = 5;

  SECTION("one is open of each kind and subject; its message is the newest") {
    CHECK(records->open_alert(late));
    late.message = "no point for 3 h";
    late.opened_ms = 6;
    CHECK_FALSE(records->open_alert(late));
    Alert other = late;
    other.subject = "db";
    CHECK(records->open_alert(other));
    fresh->reopen();
    records = &fresh->get();
    auto open = records->alerts(tenant, false, 10);
    REQUIRE(open.size() == 2);
    CHECK(open[0].subject == "db");
    CHECK(open[1].message == "no point for 3 h");
    CHECK(open[1].opened_ms == 5);
    CHECK(open[1].kind == "machine-overdue");
    CHECK(open[1].tenant == tenant);
    CHECK(records->alerts(tenant, false, 1).size() == 1);
  }
  SECTION("one that was closed may open again, as another one") {
    records->open_alert(late);
    CHECK_FALSE(records->close_alert(tenant, late.kind, "db", 7));
    CHECK(records->close_alert(tenant, late.kind, "web", 7));
    CHECK_FALSE(records->close_alert(tenant, late.kind, "web", 8));
    CHECK(records->alerts(tenant, false, 10).empty());
    CHECK(records->open_alert(late));
    auto all = records->alerts(tenant, true, 10);
    REQUIRE(all.size() == 2);
    CHECK_FALSE(all[0].closed_ms);
    CHECK(all[1].closed_ms == 7);
    CHECK(all[0].id > all[1].id);
  }
  SECTION("the first acknowledgement counts") {
    records->open_alert(late);
    int64_t id = records->alerts(tenant, false, 1).front().id;
    CHECK_FALSE(records->find_alert(id, tenant)->acknowledged_ms);
    records->acknowledge_alert(id, tenant, {"anna", "on it"}, 8);
    records->acknowledge_alert(id, tenant, {"bert", ""}, 9);
    CHECK(records->find_alert(id, tenant)->acknowledged_ms == 8);
    CHECK_FALSE(records->find_alert(id + 1, tenant));
    CHECK(code_of([&] { records->acknowledge_alert(id + 1, tenant, {}, 8); }) ==
          base::ErrorCode::not_found);
  }
  SECTION("each tenant has its own") {
    fresh->get().add_tenant("acme", 1);
    records->open_alert(late);
    late.tenant = TenantName("acme");
    CHECK(records->open_alert(late));
    CHECK(records->alerts(TenantName("acme"), false, 10).size() == 1);
    CHECK(records->alerts(TenantScope::all(), false, 10).size() == 2);
    CHECK(records->close_alert("acme", late.kind, "web", 7));
    CHECK(records->alerts(tenant, false, 10).size() == 1);
    late.tenant = TenantName("gone");
    CHECK(code_of([&] { records->open_alert(late); }) == base::ErrorCode::not_found);
  }
}

}  // namespace appliance::catalog
