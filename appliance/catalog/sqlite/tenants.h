// Tenants and their stores in SQLite. Contract: tenant_records.h.
#pragma once

#include "appliance/catalog/sqlite/database.h"
#include "appliance/catalog/tenant_records.h"

namespace appliance::catalog::sqlite {

class SqliteTenantRecords : public virtual TenantRecords {
 public:
  // `database` outlives it.
  explicit SqliteTenantRecords(Connection& database) : database_(database) {}

  std::vector<Tenant> tenants(const TenantScope& scope) override;
  void require_tenant(std::string_view name) override;
  void add_tenant(std::string_view name, uint64_t now_ms) override;
  std::optional<uint64_t> tenant_quota(std::string_view name) override;
  void set_tenant_quota(std::string_view name, std::optional<uint64_t> quota) override;
  std::optional<StoreRecord> find_store(std::string_view tenant) override;
  void save_store(std::string_view tenant, const StoreRecord& store) override;
  std::vector<std::string> tenants_with_store(const images::StoreId& id) override;

 private:
  Connection& database_;
};

}  // namespace appliance::catalog::sqlite
