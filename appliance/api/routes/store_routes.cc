#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "appliance/api/http/body_fields.h"
#include "appliance/api/routes/json_values.h"
#include "appliance/api/routes/problems.h"
#include "appliance/api/routes/routes.h"
#include "appliance/schedule/compaction.h"
#include "appliance/schedule/store_check.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using nlohmann::json;

Response show_store(Services& services, const Request& request) {
  stores::StoreStanding standing = services.stores.standing(request.tenant());
  json result = json::object();
  if (standing.can_be_read())
    result = store_figures_json(services.stores.writer(request.tenant())->figures());
  result["id"] = standing.id ? json(standing.id->hex()) : json(nullptr);
  result["directory"] = standing.directory;
  result["standing"] = store_standing_json(standing);
  result["known_point_count"] = services.catalog.points(request.tenant(), "").size();
  result["last_check"] = nullptr;
  if (auto check = services.catalog.last_store_check(request.tenant())) {
    result["last_check"] = {{"time", base::format_time_ms(check->checked_ms)},
                            {"deep", check->deep},
                            {"problem_count", check->problem_count},
                            {"first_problem", check->first_problem}};
  }
  return json_response({{"store", result}});
}

Response check_store(Services& services, const Request& request) {
  BodyFields body(request.body);
  bool deep = body.flag("deep");
  body.require_no_more();
  access::TenantName tenant = request.tenant();
  services.stores.require_writable(tenant);
  return accepted(services,
                  schedule::submit_store_check(
                      services.jobs, services.stores, services.catalog,
                      {.tenant = tenant, .requested_by = request.requester(), .deep = deep}));
}

Response compact_store(Services& services, const Request& request) {
  BodyFields(request.body).require_no_more();
  access::TenantName tenant = request.tenant();
  services.stores.require_writable(tenant);
  return accepted(services, schedule::submit_compaction(services.jobs, services.stores, tenant,
                                                        request.requester()));
}

// The catalog's list of points is derived from the store: this rebuilds it.
Response recompute_points(Services& services, const Request& request) {
  BodyFields body(request.body);
  auto lost = body.flag("forget") ? catalog::LostPoints::forget : catalog::LostPoints::keep_in_mind;
  body.require_no_more();
  return json_response({{"point_count", services.stores.recompute_points(request.tenant(), lost)}});
}

}  // namespace

void add_store_routes(Router& router, Services& services) {
  add_routes(
      router, services,
      {
          {"GET", "/api/v1/store", Privilege::store_view, Resource::tenant, show_store},
          {"POST", "/api/v1/store/check", Privilege::store_check, Resource::tenant, check_store},
          {"POST", "/api/v1/store/compact", Privilege::store_compact, Resource::tenant,
           compact_store},
          {"POST", "/api/v1/store/recompute", Privilege::store_recompute, Resource::tenant,
           recompute_points},
      });
}

}  // namespace appliance::api
