// Tenants, their quotas, and which store belongs to which. Errors and durability: catalog.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/catalog/records.h"

namespace appliance::catalog {

class TenantRecords {
 public:
  virtual ~TenantRecords() = default;

  virtual std::vector<Tenant> tenants(const TenantScope& scope) = 0;  // by name
  virtual void require_tenant(const TenantName& name) = 0;
  virtual void add_tenant(const TenantName& name, uint64_t now_ms) = 0;  // throws already_exists
  // Bytes that the tenant's store may take on the disk; none: no limit.
  virtual std::optional<uint64_t> tenant_quota(const TenantName& name) = 0;
  virtual void set_tenant_quota(const TenantName& name, std::optional<uint64_t> quota) = 0;

  // None while the tenant's store has not been created yet.
  virtual std::optional<StoreRecord> find_store(const TenantName& tenant) = 0;
  // Replaces what was known of the tenant's store.
  virtual void save_store(const TenantName& tenant, const StoreRecord& store) = 0;
  // Tenants that have that store.
  virtual std::vector<TenantName> tenants_with_store(const images::StoreId& id) = 0;
};

}  // namespace appliance::catalog
