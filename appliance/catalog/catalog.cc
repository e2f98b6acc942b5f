#include "appliance/catalog/catalog.h"

#include <fmt/format.h>

#include "appliance/catalog/schema.h"
#include "appliance/catalog/sqlite.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::catalog {

Catalog::Catalog(std::unique_ptr<Database> database) : database_(std::move(database)) {}

Catalog::~Catalog() = default;

std::unique_ptr<Catalog> Catalog::open(const std::string& path) {
  auto database = std::make_unique<Database>(path);
  migrate(*database);
  database
      ->prepare("INSERT INTO tenants(name, created_ms) VALUES (?, ?) ON CONFLICT(name) DO NOTHING")
      .bind(kDefaultTenant, base::now_ms())
      .run();
  return std::unique_ptr<Catalog>(new Catalog(std::move(database)));
}

int64_t Catalog::tenant_id(Database& database, std::string_view name) {
  Statement statement = database.prepare("SELECT id FROM tenants WHERE name = ?");
  statement.bind(name);
  if (!statement.step()) {
    throw base::Error(base::ErrorCode::not_found,
                      fmt::format("there is no tenant '{}'", name.substr(0, 255)));
  }
  return statement.integer(0);
}

// For "?1 IS NULL OR tenants.name = ?1". No tenant has an empty name: that is how nobody's scope finds
// nothing.
std::optional<std::string> Catalog::tenant_filter(Database& database, const TenantScope& scope) {
  if (scope.is_all()) return std::nullopt;
  std::optional<TenantName> only = scope.only();
  if (!only) return "";
  tenant_id(database, *only);  // throws not_found
  return only->text();
}

void Catalog::expect_tenant(std::string_view name) { tenant_id(**database_.lock(), name); }

void Catalog::add_tenant(std::string_view name, uint64_t now_ms) {
  auto database = database_.lock();
  (*database)
      ->prepare("INSERT INTO tenants(name, created_ms) VALUES (?, ?) ON CONFLICT(name) DO NOTHING")
      .bind(name, now_ms)
      .run();
  if ((*database)->changed_rows() == 1) return;
  throw base::Error(base::ErrorCode::already_exists,
                    fmt::format("there is a tenant '{}' already", name));
}

std::optional<uint64_t> Catalog::tenant_quota(std::string_view name) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare("SELECT quota FROM tenants WHERE id = ?");
  statement.bind(tenant_id(**database, name));
  if (!statement.step() || statement.is_null(0)) return std::nullopt;
  return statement.natural(0);
}

void Catalog::set_tenant_quota(std::string_view name, std::optional<uint64_t> quota) {
  auto database = database_.lock();
  (*database)
      ->prepare("UPDATE tenants SET quota = ? WHERE id = ?")
      .bind(quota, tenant_id(**database, name))
      .run();
}

std::vector<Tenant> Catalog::tenants(const TenantScope& scope) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      "SELECT name, created_ms FROM tenants WHERE ?1 IS NULL OR name = ?1 ORDER BY name");
  statement.bind(tenant_filter(**database, scope));
  std::vector<Tenant> tenants;
  while (statement.step()) tenants.push_back({statement.text(0), statement.natural(1)});
  return tenants;
}

}  // namespace appliance::catalog
