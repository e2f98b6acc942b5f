#include "appliance/catalog/sqlite/tenants.h"

#include <fmt/format.h>

#include "base/error.h"

namespace appliance::catalog::sqlite {

void SqliteTenantRecords::require_tenant(const TenantName& name) {
  tenant_id(**database_.lock(), name);
}

void SqliteTenantRecords::add_tenant(const TenantName& name, uint64_t now_ms) {
  auto database = database_.lock();
  (*database)->insert_if_absent("tenants", {"name"}, {"created_ms"}).bind(name, now_ms).run();
  if ((*database)->changed_rows() == 1) return;
  throw base::Error(base::ErrorCode::already_exists,
                    fmt::format("there is already a tenant '{}'", name));
}

std::optional<uint64_t> SqliteTenantRecords::tenant_quota(const TenantName& name) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare("SELECT quota FROM tenants WHERE id = ?");
  statement.bind(tenant_id(**database, name));
  if (!statement.step() || statement.is_null(0)) return std::nullopt;
  return statement.natural(0);
}

void SqliteTenantRecords::set_tenant_quota(const TenantName& name, std::optional<uint64_t> quota) {
  auto database = database_.lock();
  (*database)
      ->prepare("UPDATE tenants SET quota = ? WHERE id = ?")
      .bind(quota, tenant_id(**database, name))
      .run();
}

std::vector<Tenant> SqliteTenantRecords::tenants(const TenantScope& scope) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      "SELECT name, created_ms FROM tenants WHERE ?1 IS NULL OR name = ?1 ORDER BY name");
  statement.bind(tenant_filter(**database, scope));
  std::vector<Tenant> tenants;
  while (statement.step()) tenants.push_back({TenantName(statement.text(0)), statement.natural(1)});
  return tenants;
}

std::optional<StoreRecord> SqliteTenantRecords::find_store(const TenantName& tenant) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare("SELECT id, directory FROM stores WHERE tenant = ?");
  statement.bind(tenant_id(**database, tenant));
  if (!statement.step()) return std::nullopt;
  StoreRecord record;
  if (!statement.text(0).empty()) record.id = images::StoreId::from_hex(statement.text(0));
  record.directory = statement.text(1);
  return record;
}

void SqliteTenantRecords::save_store(const TenantName& tenant, const StoreRecord& store) {
  auto database = database_.lock();
  (*database)
      ->upsert("stores", {"tenant"}, {"id", "directory"})
      .bind(tenant_id(**database, tenant), store.id ? store.id->hex() : std::string(),
            store.directory)
      .run();
}

std::vector<TenantName> SqliteTenantRecords::tenants_with_store(const images::StoreId& id) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      "SELECT t.name FROM stores s JOIN tenants t ON t.id = s.tenant WHERE s.id = ?");
  statement.bind(id.hex());
  std::vector<TenantName> names;
  while (statement.step()) names.emplace_back(statement.text(0));
  return names;
}

}  // namespace appliance::catalog::sqlite
