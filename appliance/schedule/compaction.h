// Frees the space of deleted points, as a job: on request, and once a day for every tenant.
#pragma once

#include <cstdint>
#include <string>

#include "appliance/jobs/job_runner.h"
#include "appliance/stores/tenant_stores.h"

namespace appliance::schedule {

constexpr uint64_t kCompactEveryMs = 24 * 3'600'000;

// The job opens the store, and fails if that fails.
jobs::JobId submit_compaction(jobs::JobRunner& jobs, stores::TenantStores& stores,
                              const access::TenantName& tenant,
                              const access::Requester& requested_by);

}  // namespace appliance::schedule
