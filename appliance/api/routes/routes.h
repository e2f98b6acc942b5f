// What the handlers work with, and the functions that add each resource's routes. They add up to
// the route table; docs/api/openapi.yaml describes every route, and a test compares the two.
#pragma once

#include <functional>
#include <initializer_list>
#include <string>

#include "appliance/api/http/router.h"
#include "appliance/config.h"
#include "appliance/pki/authority.h"
#include "appliance/recovery/recovery.h"
#include "appliance/schedule/scheduler.h"
#include "base/clock.h"

namespace appliance::verify {
class VerifyService;
}

namespace appliance::files {
class FileLooks;
}

namespace appliance::points {
class PointDeletion;
class PointMarking;
}  // namespace appliance::points

namespace appliance::retention {
class RetentionService;
}

namespace appliance::report {
class ReportService;
}

namespace appliance::presence {
class Presence;
}

namespace appliance::schedule {
class ClockTrust;
class DutyRunner;
}  // namespace appliance::schedule

namespace appliance::notices {
class Channels;
}

namespace appliance::homeward {
class HostRestores;
}

namespace appliance::rescue {
class PointFetches;
class RescueCodes;
}  // namespace appliance::rescue

namespace appliance::failback {
class FailbackService;
class KeepOff;
}  // namespace appliance::failback
namespace appliance::people {
class People;
}

namespace appliance::audit {
class AuditService;
}

namespace appliance::api {

// Everything a handler may use; all of it must outlive the router and is thread-safe.
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
  // HOST:PORT at which agents reach this appliance. The port is known only once the server is
  // bound.
  std::function<std::string()> public_address;
  uint64_t started_ms = 0;
  access::NodeId node{};
  verify::VerifyService* verification = nullptr;  // never null in the daemon
  report::ReportService* reports = nullptr;       // never null in the daemon
  schedule::ClockTrust* clock_trust = nullptr;    // never null in the daemon
  uint64_t started_steady_ms = base::steady_ms();
  presence::Presence* presence = nullptr;            // never null in the daemon
  points::PointDeletion* deletion = nullptr;         // never null in the daemon
  points::PointMarking* marking = nullptr;           // never null in the daemon
  retention::RetentionService* retention = nullptr;  // never null in the daemon
  schedule::Policies* policies = nullptr;            // never null in the daemon
  schedule::DutyRunner* duties = nullptr;            // never null in the daemon
  notices::Channels* channels = nullptr;             // never null in the daemon
  files::FileLooks* looks = nullptr;                 // never null in the daemon
  homeward::HostRestores* host_restores = nullptr;   // never null in the daemon
  rescue::RescueCodes* rescue_codes = nullptr;       // never null in the daemon
  rescue::PointFetches* fetches = nullptr;           // never null in the daemon
  failback::FailbackService* failbacks = nullptr;    // never null in the daemon
  failback::KeepOff* keep_off = nullptr;             // never null in the daemon
  people::People* people = nullptr;                  // never null in the daemon
  audit::AuditService* audit = nullptr;              // never null in the daemon

  recovery::Recovery recovery() const { return {catalog, stores, jobs, boots, asker}; }
};

using ServiceHandler = Response (*)(Services&, const Request&);

// A row of the route table.
struct RouteRow {
  const char* method;
  const char* pattern;
  Privilege needs;
  Resource about;
  ServiceHandler handle;
};
void add_routes(Router& router, Services& services, std::initializer_list<RouteRow> rows);

void add_status_routes(Router& router, Services& services);
void add_machine_routes(Router& router, Services& services);
void add_point_routes(Router& router, Services& services);
void add_file_routes(Router& router, Services& services);
void add_job_routes(Router& router, Services& services);
void add_boot_routes(Router& router, Services& services);
void add_console_routes(Router& router, Services& services);
void add_page_routes(Router& router, Services& services);
void add_overview_routes(Router& router, Services& services);
void add_boot_pull_routes(Router& router, Services& services);
void add_boot_sequence_routes(Router& router, Services& services);
void add_store_routes(Router& router, Services& services);
void add_token_routes(Router& router, Services& services);
void add_user_routes(Router& router, Services& services);
void add_session_routes(Router& router, Services& services);
void add_audit_routes(Router& router, Services& services);
void add_host_routes(Router& router, Services& services);
void add_enroll_routes(Router& router, Services& services);
void add_install_routes(Router& router, Services& services);
void add_verify_routes(Router& router, Services& services);
void add_review_routes(Router& router, Services& services);
void add_report_routes(Router& router, Services& services);
void add_tenant_routes(Router& router, Services& services);
void add_retention_routes(Router& router, Services& services);
void add_policy_routes(Router& router, Services& services);
void add_protection_routes(Router& router, Services& services);
void add_clock_routes(Router& router, Services& services);
void add_alert_routes(Router& router, Services& services);
void add_rescue_routes(Router& router, Services& services);
void add_failback_routes(Router& router, Services& services);
void add_channel_routes(Router& router, Services& services);
void add_metrics_routes(Router& router, Services& services);
void add_agent_routes(Router& router, Services& services);
void add_all_routes(Router& router, Services& services);

// The instant VM that the path's {boot} refers to, if the principal may see it. Throws not_found,
// invalid_argument.
boot::InstantVm find_boot(Services& services, const Request& request);
// A number in the path: of a test boot, a picture, a rule; at least 1. Throws invalid_argument.
int64_t number_in(const Request& request, const char* name);
// {"job": {...}} with status 202: the work was accepted and has started.
Response accepted(Services& services, jobs::JobId id);

}  // namespace appliance::api
