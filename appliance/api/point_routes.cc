#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "appliance/api/json_values.h"
#include "appliance/api/problems.h"
#include "appliance/api/routes.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using nlohmann::json;

Response list_points(Services& services, const Request& request) {
  std::string machine = request.query_value("machine");
  if (!machine.empty())
    services.catalog.machine(request.tenant(), machine);  // not_found beats an empty list
  json list = json::array();
  for (const catalog::PointRow& row : services.catalog.points(request.tenant(), machine)) {
    list.push_back(point_row_json(row));
    list.back()["missing_since"] = nullptr;
  }
  for (const catalog::MissingPoint& point : services.catalog.missing_points(request.tenant())) {
    if (!machine.empty() && point.machine_name != machine) continue;
    list.push_back({{"id", point.id.hex()},
                    {"machine", point.machine_name},
                    {"tenant", request.tenant()},
                    {"time", base::format_time_ms(point.time_ms)},
                    {"host_time", nullptr},
                    {"clock_note", nullptr},
                    {"size", point.size},
                    {"consistency", images::consistency_name(point.consistency)},
                    {"damage_found", nullptr},
                    {"missing_since", base::format_time_ms(point.noticed_ms)}});
  }
  return json_response(
      {{"points", list}, {"problems", problems_json(services, request.tenant(), Asked::store)}});
}

Response show_point(Services& services, const Request& request) {
  auto writer = services.stores.writer(request.tenant());
  images::PointId id = writer->reader().find_point(request.path_value("point"));
  return json_response({{"point", point_json(writer->reader().read_point(id))}});
}

Response delete_point(Services& services, const Request& request) {
  std::string tenant = request.tenant();
  auto writer = services.stores.expect_writable(tenant);
  images::PointId id = writer->reader().find_point(request.path_value("point"));
  expect_no_boot_of(services, id);
  jobs::JobSpec spec{"delete", tenant, id.hex()};
  return accepted(services,
                  services.jobs.submit(spec, [&services, tenant, writer, id](jobs::JobContext&) {
                    images::Point point = writer->reader().read_point(id);
                    services.stores.delete_point(tenant, id);
                    if (writer->reader().points_of(point.machine_name).empty())
                      services.boots.forget_traces(writer->reader().id(), point.machine);
                  }));
}

}  // namespace

// An overlay, running or kept, is worthless without the point below it.
void expect_no_boot_of(Services& services, const images::PointId& id) {
  for (const boot::InstantVm& vm : services.boots.list()) {
    if (vm.point != id || vm.is_local) continue;
    throw base::Error(base::ErrorCode::busy,
                      fmt::format("the instant VM {0} of {1} needs this point; stop it first: "
                                  "muletto boot stop {0} --discard --yes",
                                  vm.id.hex(), vm.machine_name));
  }
}

void add_point_routes(Router& router, Services& services) {
  router.add({"GET", "/api/v1/points", Access::operators,
              [&services](const Request& request) { return list_points(services, request); }});
  router.add({"GET", "/api/v1/points/{point}", Access::operators,
              [&services](const Request& request) { return show_point(services, request); }});
  router.add({"DELETE", "/api/v1/points/{point}", Access::operators,
              [&services](const Request& request) { return delete_point(services, request); }});
}

}  // namespace appliance::api
