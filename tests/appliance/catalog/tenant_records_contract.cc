// What every TenantRecords promises.
#include <catch2/catch.hpp>

#include "tests/appliance/catalog/catalogs.h"

namespace appliance::catalog {

TEST_CASE("records of tenants keep the contract", "[catalog]") {
  auto fresh = make_catalog(GENERATE(from_range(catalog_kinds())));
  TenantRecords* records = &fresh->get();

  SECTION("there is the default tenant, and those that are added, by name") {
    REQUIRE(records->tenants(TenantScope::all()).size() == 1);
    CHECK(records->tenants(TenantScope::all()).front().name == kDefaultTenant);
    CHECK(code_of([&] { records->require_tenant("acme"); }) == base::ErrorCode::not_found);
    records->add_tenant("acme", 7);
    CHECK_NOTHROW(records->require_tenant("acme"));
    CHECK(code_of([&] { records->add_tenant("acme", 8); }) == base::ErrorCode::already_exists);
    fresh->reopen();
    records = &fresh->get();
    REQUIRE(records->tenants(TenantScope::all()).size() == 2);
    CHECK(records->tenants(TenantScope::all()).front().name == "acme");
    CHECK(records->tenants(TenantScope::all()).front().created_ms == 7);
  }
  SECTION("a quota is set, changed and taken away") {
    records->add_tenant("acme", 7);
    CHECK_FALSE(records->tenant_quota("acme"));
    records->set_tenant_quota("acme", 1ull << 40);
    records->set_tenant_quota("acme", 1ull << 41);
    CHECK(records->tenant_quota("acme") == 1ull << 41);
    CHECK_FALSE(records->tenant_quota(kDefaultTenant));
    records->set_tenant_quota("acme", std::nullopt);
    CHECK_FALSE(records->tenant_quota("acme"));
    CHECK(code_of([&] { records->tenant_quota("gone"); }) == base::ErrorCode::not_found);
    CHECK(code_of([&] { records->set_tenant_quota("gone", 1); }) == base::ErrorCode::not_found);
  }
  SECTION("a tenant has one store, and a store may be several tenants'") {
    records->add_tenant("acme", 1);
    CHECK_FALSE(records->find_store("acme"));
    records->save_store("acme", {{}, "/mnt/old"});
    REQUIRE(records->find_store("acme"));
    CHECK_FALSE(records->find_store("acme")->id);
    images::StoreId id = images::StoreId::random();
    records->save_store("acme", {id, "/mnt/acme"});
    records->save_store(kDefaultTenant, {id, ""});
    fresh->reopen();
    records = &fresh->get();
    CHECK(records->find_store("acme")->id == id);
    CHECK(records->find_store("acme")->directory == "/mnt/acme");
    CHECK(records->tenants_with_store(id).size() == 2);
    CHECK(records->tenants_with_store(images::StoreId::random()).empty());
    CHECK(code_of([&] { records->find_store("gone"); }) == base::ErrorCode::not_found);
  }
}

}  // namespace appliance::catalog
