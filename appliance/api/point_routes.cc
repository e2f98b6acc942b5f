#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "appliance/api/json_values.h"
#include "appliance/api/routes.h"
#include "base/error.h"

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
  }
  return json_response({{"points", list}});
}

Response show_point(Services& services, const Request& request) {
  auto writer = services.stores.writer(request.tenant());
  images::PointId id = writer->reader().find_point(request.path_value("point"));
  return json_response({{"point", point_json(writer->reader().read_point(id))}});
}

Response delete_point(Services& services, const Request& request) {
  std::string tenant = request.tenant();
  auto writer = services.stores.writer(tenant);
  images::PointId id = writer->reader().find_point(request.path_value("point"));
  expect_no_boot_of(services, id);
  jobs::JobSpec spec{"delete", tenant, id.hex()};
  return accepted(services,
                  services.jobs.submit(spec, [&services, tenant, writer, id](jobs::JobContext&) {
                    images::Point point = writer->reader().read_point(id);
                    writer->delete_point(id);
                    services.catalog.remove_point(tenant, id);
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
