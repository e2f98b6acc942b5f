#include <sys/statvfs.h>

#include <nlohmann/json.hpp>

#include "appliance/api/routes/json_values.h"
#include "appliance/api/routes/problems.h"
#include "appliance/api/routes/restore_routes.h"
#include "appliance/api/routes/routes.h"
#include "appliance/schedule/duties.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using nlohmann::json;

constexpr uint32_t kMaxCounted = 100'000;

json free_space_json(const std::string& directory) {
  struct statvfs space;
  if (::statvfs(directory.c_str(), &space) != 0) return nullptr;
  return {{"free", uint64_t{space.f_bavail} * space.f_frsize},
          {"size", uint64_t{space.f_blocks} * space.f_frsize}};
}

// Instant VMs may be unavailable while everything else works: then the answer says why.
json boots_json(Services& services, const Request& request) {
  try {
    size_t running = 0, count = 0;
    for (const boot::InstantVm& vm : services.boots.list(request.scope())) {
      ++count;
      running += vm.state == boot::VmState::running ? 1 : 0;
    }
    return {{"count", count}, {"running", running}, {"problem", nullptr}};
  } catch (const std::exception& error) {
    return {{"count", nullptr}, {"running", nullptr}, {"problem", error.what()}};
  }
}

json store_json(Services& services, const catalog::TenantName& tenant) {
  for (const stores::StoreStanding& store : services.stores.standings()) {
    if (store.tenant == tenant) return store_standing_json(store);
  }
  return nullptr;
}

// Duties that the appliance is failing to do now.
json failing_duties_json(Services& services) {
  json list = json::array();
  for (const schedule::DutyFailure& each : services.duties->failures()) {
    list.push_back({{"name", each.name},
                    {"what", each.what},
                    {"since", base::format_time_ms(each.since_ms)},
                    {"error", each.error}});
  }
  return list;
}

// Machines that are synced but not verified by test boots.
size_t not_verified_count(Services& services, const catalog::TenantName& tenant) {
  size_t count = 0;
  for (const catalog::Protection& each : services.catalog.protections(tenant)) {
    auto policy = services.policies->find(tenant, each.policy);
    count += each.wanted && policy->verification == policy::Verification::off ? 1 : 0;
  }
  return count;
}

Response status(Services& services, const Request& request) {
  catalog::JobFilter running{.scope = request.scope(), .state = catalog::JobState::running};
  uint64_t points = 0;
  auto machines = services.catalog.machines(request.tenant());
  for (const catalog::Machine& machine : machines) points += machine.point_count;
  return json_response(
      {{"version", MULETTO_VERSION},
       {"node", services.node.hex()},
       {"started", base::format_time_ms(services.started_ms)},
       {"uptime_ms", base::steady_ms() - services.started_steady_ms},
       {"address", services.public_address()},
       {"fingerprint", services.authority.fingerprint()},
       {"state_directory", services.config.state_directory},
       {"disk", free_space_json(services.config.state_directory)},
       {"machine_count", machines.size()},
       {"point_count", points},
       {"running_job_count", services.jobs.jobs(running).size()},
       {"open_alert_count", services.catalog.alerts(request.tenant(), false, kMaxCounted).size()},
       {"not_verified_count", not_verified_count(services, request.tenant())},
       {"failing_duties", failing_duties_json(services)},
       {"boots", boots_json(services, request)},
       {"store", store_json(services, request.tenant())},
       {"needs", needs_json(services)},
       {"problems", problems_json(services, request.tenant(), Asked::all)}});
}

}  // namespace

void add_status_routes(Router& router, Services& services) {
  add_routes(router, services,
             {
                 {"GET", "/api/v1/status", Privilege::status_view, Resource::tenant, status},
             });
}

void add_routes(Router& router, Services& services, std::initializer_list<RouteRow> rows) {
  for (const RouteRow& row : rows) {
    router.add({row.method, row.pattern, row.needs, row.about,
                [&services, handle = row.handle](const Request& request) {
                  return handle(services, request);
                }});
  }
}

void add_all_routes(Router& router, Services& services) {
  add_status_routes(router, services);
  add_machine_routes(router, services);
  add_overview_routes(router, services);
  add_point_routes(router, services);
  add_file_routes(router, services);
  add_job_routes(router, services);
  add_boot_routes(router, services);
  add_console_routes(router, services);
  add_page_routes(router, services);
  add_install_routes(router, services);
  add_boot_pull_routes(router, services);
  add_boot_sequence_routes(router, services);
  add_store_routes(router, services);
  add_token_routes(router, services);
  add_user_routes(router, services);
  add_session_routes(router, services);
  add_audit_routes(router, services);
  add_host_routes(router, services);
  add_enroll_routes(router, services);
  add_verify_routes(router, services);
  add_review_routes(router, services);
  add_report_routes(router, services);
  add_restore_routes(router, services);
  add_disk_routes(router, services);
  add_rescue_routes(router, services);
  add_retention_routes(router, services);
  add_policy_routes(router, services);
  add_protection_routes(router, services);
  add_clock_routes(router, services);
  add_tenant_routes(router, services);
  add_alert_routes(router, services);
  add_channel_routes(router, services);
  add_metrics_routes(router, services);
  add_agent_routes(router, services);
  add_failback_routes(router, services);
}

Response accepted(Services& services, jobs::JobId id) {
  return json_response({{"job", job_json(services.jobs.job(id))}}, 202);
}

}  // namespace appliance::api
