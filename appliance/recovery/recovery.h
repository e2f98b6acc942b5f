// Brings machines up, as jobs: one instant VM, several in order, the wait for a guest, the move to
// local storage. The API, the scheduler and the starting daemon call the same functions.
#pragma once

#include <string>

#include "appliance/access/requester.h"
#include "appliance/boot/boot_service.h"
#include "appliance/boot/guest/probe.h"
#include "appliance/catalog/catalog.h"
#include "appliance/jobs/job_runner.h"
#include "appliance/stores/tenant_stores.h"

namespace appliance::recovery {

// What this works with: references, copied freely. All must outlive every job, and are thread-safe.
struct Recovery {
  catalog::Catalog& catalog;
  stores::TenantStores& stores;
  jobs::JobRunner& jobs;
  boot::BootService& boots;
  boot::Asker& asker;
};

// Where the tenant's points can be read from, for the boot service. `writer` outlives the result.
boot::PointSource point_source(const Recovery& recovery, const access::TenantName& tenant,
                               images::StoreWriter& writer);
struct StartOrder {
  access::TenantName tenant;
  images::PointId point;
  std::string machine_name;
  boot::BootOptions options;
  access::Requester requested_by;
};

// A job that starts an instant VM of the point; its figures: {"boot", "start_duration_ms"}.
jobs::JobId submit_start(const Recovery& recovery, const StartOrder& order);
// A job that stops the instant VM.
jobs::JobId submit_stop(const Recovery& recovery, const boot::InstantVm& vm,
                        const boot::StopOptions& options, const access::Requester& requested_by);
// A job that moves the instant VM to local storage. It takes hours, but no thread. `bandwidth` is
// in bytes per second, 0: no limit.
jobs::JobId submit_pull(const Recovery& recovery, const boot::InstantVm& vm, uint64_t bandwidth,
                        const access::Requester& requested_by);

}  // namespace appliance::recovery
