// When each tenant's store is compacted and checked: once a day and once a week, unless someone
// requested it in between. Not thread-safe: used by one duty.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "appliance/catalog/catalog.h"
#include "appliance/jobs/job_runner.h"
#include "appliance/stores/tenant_stores.h"

namespace appliance::schedule {

class StoreUpkeep {
 public:
  // All must outlive it.
  StoreUpkeep(catalog::Catalog& catalog, stores::TenantStores& stores, jobs::JobRunner& jobs)
      : catalog_(catalog), stores_(stores), jobs_(jobs) {}

  // Orders what is due. A problem of one tenant is thrown after all others have been processed.
  void round(uint64_t now_ms);

 private:
  // When it was last ordered for a store.
  struct Upkeep {
    uint64_t compacted_ms = 0;
    uint64_t checked_ms = 0;
  };
  void keep_up(const catalog::Tenant& tenant, uint64_t now_ms);
  // Brings `last_ms`, when that kind of job was last ordered for the tenant, up to date.
  bool is_due(uint64_t& last_ms, const catalog::Tenant& tenant, const char* kind, uint64_t every_ms,
              uint64_t now_ms);
  bool is_check_under_way();

  catalog::Catalog& catalog_;
  stores::TenantStores& stores_;
  jobs::JobRunner& jobs_;
  std::map<catalog::TenantName, Upkeep> upkeep_;  // by tenant
};

}  // namespace appliance::schedule
