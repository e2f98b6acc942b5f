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
  void require_tenant(const TenantName& name) override;
  void add_tenant(const TenantName& name, uint64_t now_ms) override;
  std::optional<uint64_t> tenant_quota(const TenantName& name) override;
  void set_tenant_quota(const TenantName& name, std::optional<uint64_t> quota) override;
  std::optional<StoreRecord> find_store(const TenantName& tenant) override;
  void save_store(const TenantName& tenant, const StoreRecord& store) override;
  std::vector<TenantName> tenants_with_store(const images::StoreId& id) override;

 private:
  Connection& database_;
};

}  // namespace appliance::catalog::sqlite
