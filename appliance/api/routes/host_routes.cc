#include <nlohmann/json.hpp>

#include "appliance/api/routes/json_values.h"
#include "appliance/api/routes/routes.h"
#include "base/json_access.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using nlohmann::json;

Response list_hosts(Services& services, const Request& request) {
  json list = json::array();
  for (const catalog::Host& host : services.catalog.hosts(request.scope()))
    list.push_back(host_json(host));
  return json_response({{"hosts", list}});
}

Response show_host(Services& services, const Request& request) {
  catalog::Host host = services.catalog.host(request.path_value("host"), request.scope());
  json result = host_json(host);
  result["report"] = nullptr;
  result["reported"] = nullptr;
  if (auto report = services.catalog.find_report(host.id)) {
    result["report"] = base::find_json(report->body).value_or(json());
    result["reported"] = base::format_time_ms(report->time_ms);
  }
  return json_response({{"host", result}});
}

// From now on the host's certificate is refused; its open sessions are closed.
Response revoke_host(Services& services, const Request& request) {
  catalog::Host host = services.catalog.host(request.path_value("host"), request.scope());
  services.catalog.revoke_host(host.id);
  services.cut_host(host.id);
  return json_response({{"host", host_json(*services.catalog.find_host(host.id))}});
}

Response forget_host(Services& services, const Request& request) {
  catalog::Host host = services.catalog.host(request.path_value("host"), request.scope());
  services.catalog.forget_host(host.id);
  return json_response({{"host", host_json(host)}});
}

}  // namespace

void add_host_routes(Router& router, Services& services) {
  router.add({"GET", "/api/v1/hosts", Access::operators,
              [&services](const Request& request) { return list_hosts(services, request); }});
  router.add({"GET", "/api/v1/hosts/{host}", Access::operators,
              [&services](const Request& request) { return show_host(services, request); }});
  router.add({"DELETE", "/api/v1/hosts/{host}", Access::operators,
              [&services](const Request& request) { return forget_host(services, request); }});
  router.add({"POST", "/api/v1/hosts/{host}/revoke", Access::operators,
              [&services](const Request& request) { return revoke_host(services, request); }});
}

}  // namespace appliance::api
