// Verifies everything in a tenant's store, as a job: on request, and once a week for every tenant.
// The result is recorded in the catalog.
#pragma once

#include <cstdint>
#include <string>

#include "appliance/catalog/point_records.h"
#include "appliance/jobs/job_runner.h"
#include "appliance/stores/tenant_stores.h"

namespace appliance::schedule {

constexpr uint64_t kCheckEveryMs = 7ull * 24 * 3'600'000;

struct StoreCheckOrder {
  access::TenantName tenant;
  access::Requester requested_by;
  bool deep = false;           // also decode every chunk and compare its hash
  bool in_background = false;  // reads only when nothing else needs the processor or the disk
};

// The job opens the store. It fails with code corrupt if the store is damaged.
jobs::JobId submit_store_check(jobs::JobRunner& jobs, stores::TenantStores& stores,
                               catalog::PointRecords& catalog, const StoreCheckOrder& order);

}  // namespace appliance::schedule
