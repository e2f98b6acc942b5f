#include <nlohmann/json.hpp>
#include <set>

#include "appliance/api/http/body_fields.h"
#include "appliance/api/routes/json_values.h"
#include "appliance/api/routes/problems.h"
#include "appliance/api/routes/routes.h"
#include "appliance/points/machine_forgetting.h"
#include "appliance/verify/verify_service.h"
#include "base/error.h"

namespace appliance::api {
namespace {

using nlohmann::json;

Response list_machines(Services& services, const Request& request) {
  json list = json::array();
  std::set<std::string> with_points;
  for (const catalog::Machine& machine : services.catalog.machines(request.tenant())) {
    json entry = machine_json(machine);
    entry["protection"] = standing_json(services.scheduler.standing(machine.tenant, machine));
    list.push_back(std::move(entry));
    with_points.insert(machine.name);
  }
  // Machines that agents have reported and that have no point yet.
  for (const catalog::Protection& seen : services.catalog.protections(request.tenant())) {
    if (with_points.contains(seen.machine)) continue;
    catalog::Machine machine;
    machine.tenant = seen.tenant;
    machine.name = seen.machine;
    machine.created_ms = seen.noticed_ms;
    json entry = machine_json(machine);
    entry["id"] = nullptr;
    entry["protection"] = standing_json(services.scheduler.standing(seen.tenant, machine));
    list.push_back(std::move(entry));
  }
  return json_response(
      {{"machines", list}, {"problems", problems_json(services, request.tenant(), Asked::store)}});
}

// The machine, with disks and definition from its newest point.
Response show_machine(Services& services, const Request& request) {
  catalog::Machine machine = services.catalog.machine(request.tenant(), request.path_value("name"));
  json result = machine_json(machine);
  result["protection"] = standing_json(services.scheduler.standing(machine.tenant, machine));
  result["recovery"] = recovery_json(catalog::proved_recovery(
      services.catalog.recovery_times(machine.tenant, machine.name, catalog::kRecoveryFrom)));
  result["disks"] = nullptr;
  result["definition"] = nullptr;
  if (machine.latest_point) {
    auto writer = services.stores.writer(machine.tenant);
    images::Point point = writer->reader().read_point(*machine.latest_point);
    result["disks"] = disks_json(point.disks);
    result["definition"] = definition_json(point.definition);
  }
  return json_response({{"machine", result}});
}

// {"host": NAME or ID, or null for nobody}
Response assign_machine(Services& services, const Request& request) {
  BodyFields body(request.body);
  auto selector = body.text("host");
  body.require_no_more();
  std::optional<catalog::HostId> host_id;
  if (selector) {
    catalog::Host host = services.catalog.host(*selector, request.scope());
    if (host.revoked || host.tenant != request.tenant()) {
      throw base::Error(base::ErrorCode::invalid_argument,
                        "the host '" + host.name + "' is revoked or belongs to another tenant");
    }
    host_id = host.id;
  }
  services.catalog.assign_machine(request.tenant(), request.path_value("name"), host_id);
  return json_response({{"machine", machine_json(services.catalog.machine(
                                        request.tenant(), request.path_value("name")))}});
}

// What would be removed if the machine were forgotten.
Response show_traces(Services& services, const Request& request) {
  catalog::MachineTraces traces =
      services.catalog.machine_traces(request.tenant(), request.path_value("name"));
  if (!traces.is_known && !traces.is_protected)
    services.catalog.machine(request.tenant(), request.path_value("name"));  // throws not_found
  return json_response({{"traces",
                         {{"points", traces.point_count},
                          {"test_boots", traces.test_boot_count},
                          {"alerts", traces.alert_count},
                          {"jobs", traces.job_count},
                          {"protection", traces.is_protected}}}});
}

// ?points=true
Response forget_machine(Services& services, const Request& request) {
  points::ForgetOrder order{request.tenant(), request.path_value("name"),
                            request.query_value("points") == "true", request.requester()};
  jobs::JobId job =
      points::submit_forgetting(services.catalog, *services.deletion, services.jobs, order);
  if (services.verification != nullptr)
    services.verification->volume_keys().forget(order.tenant, order.machine);
  return accepted(services, job);
}

}  // namespace

void add_machine_routes(Router& router, Services& services) {
  add_routes(
      router, services,
      {
          {"GET", "/api/v1/machines", Privilege::machine_view, Resource::tenant, list_machines},
          {"GET", "/api/v1/machines/{name}", Privilege::machine_view, Resource::machine,
           show_machine},
          {"DELETE", "/api/v1/machines/{name}", Privilege::machine_forget, Resource::machine,
           forget_machine},
          {"GET", "/api/v1/machines/{name}/traces", Privilege::machine_view, Resource::machine,
           show_traces},
          {"PUT", "/api/v1/machines/{name}/host", Privilege::machine_assign, Resource::machine,
           assign_machine},
      });
}

}  // namespace appliance::api
