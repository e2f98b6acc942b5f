// What policies keep and remove: its preview, its application, and held points.
#include <nlohmann/json.hpp>

#include "appliance/api/http/body_fields.h"
#include "appliance/api/routes/json_values.h"
#include "appliance/api/routes/routes.h"
#include "appliance/points/point_deletion.h"
#include "appliance/points/point_marking.h"
#include "appliance/retention/retention_service.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using nlohmann::json;

constexpr size_t kMaxReason = 1000;  // bytes

json plan_json(const retention::MachinePlan& plan) {
  json points = json::array();
  for (const retention::Decision& each : plan.decisions) {
    points.push_back({{"id", each.id.hex()},
                      {"time", base::format_time_ms(static_cast<uint64_t>(each.time_ms))},
                      {"stays", each.stays},
                      {"by_rule", each.is_by_rule},
                      {"reasons", each.reasons}});
  }
  return {{"machine", plan.machine},
          {"policy", plan.policy},
          {"keep", plan.keep},
          {"points", points},
          {"going", plan.going},
          {"held", plan.held.empty() ? json(nullptr) : json(plan.held)},
          {"waits_until",
           plan.waits_until_ms ? json(base::format_time_ms(*plan.waits_until_ms)) : json(nullptr)}};
}

// ?policy=NAME, ?machine=NAME, ?keep=RULE
Response preview(Services& services, const Request& request) {
  std::optional<std::string> keep;
  if (std::string rule = request.query_value("keep"); !rule.empty()) keep = rule;
  json list = json::array();
  for (const retention::MachinePlan& plan : services.retention->preview(
           {request.tenant(), request.query_value("policy"), request.query_value("machine")}, keep))
    list.push_back(plan_json(plan));
  return json_response({{"machines", list}});
}

// {"policy": NAME, "machine": NAME, "now": bool}
Response apply(Services& services, const Request& request) {
  BodyFields body(request.body);
  retention::Selection selection{request.tenant(), body.text("policy").value_or(""),
                                 body.text("machine").value_or("")};
  bool now = body.flag("now");
  body.require_no_more();
  using Haste = retention::RetentionService::Haste;
  retention::Applied applied = services.retention->apply(
      selection, now ? Haste::now : Haste::within_bounds, request.requester());
  json jobs = json::array(), held = json::array();
  for (const jobs::JobId& id : applied.jobs) jobs.push_back(job_json(services.jobs.job(id)));
  for (const retention::MachinePlan& plan : applied.held)
    held.push_back({{"machine", plan.machine}, {"why", plan.held}});
  return json_response({{"jobs", jobs}, {"held", held}}, 202);
}

images::PointId find_point(Services& services, const Request& request) {
  return services.stores.writer(request.tenant())->reader().find_point(request.path_value("point"));
}

// {"reason": TEXT, "until": TIME}
Response hold_point(Services& services, const Request& request) {
  BodyFields body(request.body);
  catalog::Hold hold;
  hold.reason = body.text("reason").value_or("");
  auto until = body.text("until");
  body.require_no_more();
  if (hold.reason.size() > kMaxReason || !base::is_valid_utf8(hold.reason)) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      "the reason is too long: at most 1000 bytes of UTF-8");
  }
  hold.placed_ms = base::now_ms();
  if (until) hold.until_ms = base::parse_time_ms(*until);
  if (hold.is_over(hold.placed_ms))
    throw base::Error(base::ErrorCode::invalid_argument, "'until' is in the past");
  hold.point = find_point(services, request);
  services.deletion->hold(request.tenant(), hold);
  services.marking->publish(request.tenant(), hold.point);
  return json_response({{"point", hold.point.hex()}, {"hold", hold_json(hold)}});
}

Response release_point(Services& services, const Request& request) {
  images::PointId point = find_point(services, request);
  if (!services.catalog.release_point(request.tenant(), point))
    throw base::Error(base::ErrorCode::not_found, "the point " + point.hex() + " is not held");
  services.marking->publish(request.tenant(), point);
  return json_response({{"point", point.hex()}});
}

}  // namespace

json hold_json(const catalog::Hold& hold) {
  return {{"reason", hold.reason},
          {"placed", base::format_time_ms(hold.placed_ms)},
          {"until", hold.until_ms ? json(base::format_time_ms(*hold.until_ms)) : json(nullptr)}};
}

void add_retention_routes(Router& router, Services& services) {
  add_routes(
      router, services,
      {
          {"GET", "/api/v1/retention", Privilege::policy_view, Resource::tenant, preview},
          {"POST", "/api/v1/retention/apply", Privilege::point_delete, Resource::tenant, apply},
          {"PUT", "/api/v1/points/{point}/hold", Privilege::point_hold, Resource::point,
           hold_point},
          {"DELETE", "/api/v1/points/{point}/hold", Privilege::point_hold, Resource::point,
           release_point},
      });
}

}  // namespace appliance::api
