#include <nlohmann/json.hpp>

#include "appliance/api/routes/json_values.h"
#include "appliance/api/routes/problems.h"
#include "appliance/api/routes/routes.h"
#include "appliance/points/point_deletion.h"
#include "appliance/points/point_marking.h"
#include "appliance/retention/retention_service.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using nlohmann::json;

Response list_points(Services& services, const Request& request) {
  std::string machine = request.query_value("machine");
  if (!machine.empty())
    services.catalog.machine(request.tenant(), machine);  // not_found rather than an empty list
  auto holds = services.catalog.holds(request.tenant(), base::now_ms());
  auto decisions = services.retention->decisions(request.tenant(), machine);
  json list = json::array();
  for (const catalog::PointRow& row : services.catalog.points(request.tenant(), machine)) {
    json entry = point_row_json(row);
    entry["missing_since"] = nullptr;
    auto hold = holds.find(row.summary.id);
    entry["hold"] = hold == holds.end() ? json(nullptr) : hold_json(hold->second);
    // Machines that are not protected have no decisions: everything is kept.
    auto decision = decisions.find(row.summary.id);
    bool is_decided = decision != decisions.end();
    entry["stays"] = !is_decided || decision->second.stays;
    entry["reasons"] =
        is_decided ? json(decision->second.reasons) : json::array({"the machine is not protected"});
    list.push_back(std::move(entry));
  }
  for (const catalog::MissingPoint& point : services.catalog.missing_points(request.tenant())) {
    if (!machine.empty() && point.machine_name != machine) continue;
    list.push_back({{"id", point.id.hex()},
                    {"machine", point.machine_name},
                    {"tenant", request.tenant().text()},
                    {"time", base::format_time_ms(point.time_ms)},
                    {"host_time", nullptr},
                    {"clock_note", nullptr},
                    {"size", point.size},
                    {"consistency", images::consistency_name(point.consistency)},
                    {"parent", nullptr},
                    {"origin", nullptr},
                    {"damage_found", nullptr},
                    {"missing_since", base::format_time_ms(point.noticed_ms)}});
  }
  return json_response(
      {{"points", list}, {"problems", problems_json(services, request.tenant(), Asked::store)}});
}

Response show_point(Services& services, const Request& request) {
  auto writer = services.stores.writer(request.tenant());
  images::PointId id = writer->reader().find_point(request.path_value("point"));
  json answer = point_json(writer->reader().read_point(id));
  answer["tested_elsewhere"] =
      boot_mark_json(services.marking->tested_elsewhere(writer->reader(), id));
  return json_response({{"point", answer}});
}

// Refuses at once what is held or in use; the job checks again.
Response delete_point(Services& services, const Request& request) {
  access::TenantName tenant = request.tenant();
  auto writer = services.stores.require_writable(tenant);
  images::PointId id = writer->reader().find_point(request.path_value("point"));
  services.deletion->require_deletable(tenant, id);
  return accepted(services, services.jobs.submit({"delete", tenant, id.hex(), request.requester()},
                                                 [&services, tenant, id](jobs::JobContext&) {
                                                   services.deletion->remove(tenant, id);
                                                 }));
}

}  // namespace

void add_point_routes(Router& router, Services& services) {
  add_routes(
      router, services,
      {
          {"GET", "/api/v1/points", Privilege::point_view, Resource::tenant, list_points},
          {"GET", "/api/v1/points/{point}", Privilege::point_view, Resource::point, show_point},
          {"DELETE", "/api/v1/points/{point}", Privilege::point_delete, Resource::point,
           delete_point},
      });
}

}  // namespace appliance::api
