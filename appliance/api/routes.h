// What the handlers work with, and the functions that add each resource's routes. The route table
// is the sum of them; docs/api/openapi.yaml describes every route, and a test compares the two.
#pragma once

#include <functional>
#include <string>

#include "appliance/api/router.h"
#include "appliance/boot/boot_service.h"
#include "appliance/boot/probe.h"
#include "appliance/catalog/catalog.h"
#include "appliance/config.h"
#include "appliance/jobs/job_runner.h"
#include "appliance/pki/authority.h"
#include "appliance/schedule/scheduler.h"
#include "appliance/stores/tenant_stores.h"
#include "base/clock.h"

namespace appliance::verify {
class VerifyService;
}

namespace appliance::points {
class PointDeletion;
}

namespace appliance::retention {
class RetentionService;
}

namespace appliance::report {
class ReportService;
}

namespace appliance::presence {
class Presence;
}

namespace appliance::api {

// Everything a handler may use; all of it outlives the router and is thread-safe.
struct Services {
  const Config& config;
  catalog::Catalog& catalog;
  stores::TenantStores& stores;
  jobs::JobRunner& jobs;
  boot::BootService& boots;
  boot::Asker& asker;
  schedule::Scheduler& scheduler;
  pki::Authority& authority;
  // Ends the sessions of a host that may no longer write.
  std::function<void(const catalog::HostId&)> cut_host;
  // HOST:PORT by which agents reach this appliance. The port is known only once the server is
  // bound.
  std::function<std::string()> public_address;
  uint64_t started_ms = 0;
  verify::VerifyService* verification = nullptr;  // never null in the daemon
  report::ReportService* reports = nullptr;       // never null in the daemon
  schedule::ClockTrust* clock_trust = nullptr;    // never null in the daemon
  uint64_t started_steady_ms = base::steady_ms();
  presence::Presence* presence = nullptr;            // never null in the daemon
  points::PointDeletion* deletion = nullptr;         // never null in the daemon
  retention::RetentionService* retention = nullptr;  // never null in the daemon
};

void add_status_routes(Router& router, Services& services);
void add_machine_routes(Router& router, Services& services);
void add_point_routes(Router& router, Services& services);
void add_job_routes(Router& router, Services& services);
void add_boot_routes(Router& router, Services& services);
void add_console_routes(Router& router, Services& services);
void add_boot_pull_routes(Router& router, Services& services);
void add_boot_several_routes(Router& router, Services& services);
void add_store_routes(Router& router, Services& services);
void add_token_routes(Router& router, Services& services);
void add_host_routes(Router& router, Services& services);
void add_enroll_routes(Router& router, Services& services);
void add_verify_routes(Router& router, Services& services);
void add_report_routes(Router& router, Services& services);
void add_tenant_routes(Router& router, Services& services);
void add_retention_routes(Router& router, Services& services);
void add_schedule_routes(Router& router, Services& services);
void add_clock_routes(Router& router, Services& services);
void add_alert_routes(Router& router, Services& services);
void add_agent_routes(Router& router, Services& services);
void add_all_routes(Router& router, Services& services);

// The instant VM that the path's {boot} means, if the principal may know of it. Throws not_found,
// invalid_argument.
boot::InstantVm find_boot(Services& services, const Request& request);
// {"job": {...}} with status 202: the work was accepted and is under way.
Response accepted(Services& services, jobs::JobId id);
// The tenant whose store the VM runs from; the default one if that store is nobody's any more.
std::string tenant_of(Services& services, const boot::InstantVm& vm);
// A job that moves the VM onto local storage. `bandwidth` is in bytes per second, 0: no limit.
jobs::JobId submit_pull(Services& services, const boot::InstantVm& vm, uint64_t bandwidth);
// Where the tenant's points can be read from, for the boot service.
boot::PointSource point_source(Services& services, const std::string& tenant,
                               images::StoreWriter& writer);

}  // namespace appliance::api
