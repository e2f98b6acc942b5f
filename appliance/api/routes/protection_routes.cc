// Which machines are protected, and syncs on order.
#include <nlohmann/json.hpp>

#include "appliance/api/http/body_fields.h"
#include "appliance/api/routes/json_values.h"
#include "appliance/api/routes/routes.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using nlohmann::json;

// {"wanted": bool, "policy": NAME, or "" for the default one}
Response protect_machine(Services& services, const Request& request) {
  BodyFields body(request.body);
  bool wanted = body.flag("wanted");
  auto policy = body.text("policy");
  body.require_no_more();
  const access::TenantName tenant = request.tenant();
  const std::string& name = request.path_value("name");
  services.scheduler.protect(tenant, name, wanted, policy);
  catalog::Machine machine;
  machine.name = name;
  if (auto known = services.catalog.find_machine(tenant, name)) machine = *known;
  return json_response(
      {{"protection", standing_json(services.scheduler.standing(tenant, machine))}});
}

Response sync_machine(Services& services, const Request& request) {
  BodyFields(request.body).require_no_more();
  return accepted(services, services.scheduler.request(request.tenant(), request.path_value("name"),
                                                       request.requester()));
}

}  // namespace

json standing_json(const schedule::Standing& standing) {
  return {{"wanted", standing.wanted},
          {"policy", standing.policy},
          {"next_due", standing.next_due_ms ? json(base::format_time_ms(*standing.next_due_ms))
                                            : json(nullptr)},
          {"age_ms", standing.age_ms ? json(*standing.age_ms) : json(nullptr)},
          {"worst_day_ms", standing.gaps.worst_day_ms},
          {"worst_week_ms", standing.gaps.worst_week_ms},
          {"overdue", base::now_ms() > standing.overdue_at_ms},
          {"failures", standing.failures},
          {"last_error", standing.last_error.empty() ? json(nullptr) : json(standing.last_error)}};
}

void add_protection_routes(Router& router, Services& services) {
  add_routes(router, services,
             {
                 {"PUT", "/api/v1/machines/{name}/protection", Privilege::machine_protect,
                  Resource::machine, protect_machine},
                 {"POST", "/api/v1/machines/{name}/sync", Privilege::machine_sync,
                  Resource::machine, sync_machine},
             });
}

}  // namespace appliance::api
