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
  add_routes(
      router, services,
      {
          {"GET", "/api/v1/hosts", Privilege::host_view, Resource::tenant, list_hosts},
          {"GET", "/api/v1/hosts/{host}", Privilege::host_view, Resource::host, show_host},
          {"DELETE", "/api/v1/hosts/{host}", Privilege::host_forget, Resource::host, forget_host},
          {"POST", "/api/v1/hosts/{host}/revoke", Privilege::host_revoke, Resource::host,
           revoke_host},
      });
}

}  // namespace appliance::api
