// What is wrong, what it means, and what people say about it.
#include <nlohmann/json.hpp>

#include "appliance/alerts/kinds.h"
#include "appliance/api/http/body_fields.h"
#include "appliance/api/routes/json_values.h"
#include "appliance/api/routes/problems.h"
#include "appliance/api/routes/routes.h"
#include "base/clean_text.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using nlohmann::json;

Response list_alerts(Services& services, const Request& request) {
  json list = json::array();
  bool all = request.query_value("closed") == "true";
  for (const catalog::Alert& alert : services.catalog.alerts(request.tenant(), all, 1000))
    list.push_back(alert_json(alert));
  return json_response(
      {{"alerts", list}, {"problems", problems_json(services, request.tenant(), Asked::all)}});
}

int64_t alert_in(const Request& request) {
  try {
    return std::stoll(request.path_value("id"));
  } catch (const std::exception&) {
    throw base::Error(base::ErrorCode::invalid_argument, "an alert's id must be a whole number");
  }
}

catalog::Remark remark_in(const Request& request, BodyFields& body) {
  constexpr size_t kMaxNote = 1000;  // bytes
  return {request.requester().text(), base::clean_text(body.text("note").value_or(""), kMaxNote)};
}

Response acknowledge_alert(Services& services, const Request& request) {
  int64_t id = alert_in(request);
  BodyFields body(request.body);
  catalog::Remark remark = remark_in(request, body);
  body.require_no_more();
  catalog::Alert alert =
      services.catalog.acknowledge_alert(id, request.scope(), remark, base::now_ms());
  return json_response({{"alert", alert_json(alert)}});
}

// {"for": "4h", "note": TEXT}
Response silence_alert(Services& services, const Request& request) {
  constexpr uint64_t kLongest_ms = 30ull * 24 * 3'600'000;
  int64_t id = alert_in(request);
  BodyFields body(request.body);
  catalog::Remark remark = remark_in(request, body);
  uint64_t duration_ms = base::parse_duration_ms(body.required_text("for"));
  body.require_no_more();
  if (duration_ms == 0 || duration_ms > kLongest_ms)
    throw base::Error(base::ErrorCode::invalid_argument,
                      "an alert can be silenced for at most 30 d, so that it is not forgotten");
  return json_response(
      {{"alert", alert_json(services.catalog.silence_alert(id, request.scope(), remark,
                                                           base::now_ms() + duration_ms))}});
}

// Its end is told as that of any other: whoever is notified learns that it is still open.
Response end_silence(Services& services, const Request& request) {
  catalog::Remark remark{request.requester().text(), ""};
  return json_response(
      {{"alert", alert_json(services.catalog.silence_alert(alert_in(request), request.scope(),
                                                           remark, base::now_ms()))}});
}

Response list_kinds(Services&, const Request&) {
  json list = json::array();
  for (const alerts::AlertKind& kind : alerts::alert_kinds()) {
    list.push_back({{"name", kind.name},
                    {"severity", alerts::severity_name(kind.severity)},
                    {"meaning", kind.meaning},
                    {"advice", kind.advice}});
  }
  return json_response({{"kinds", list}});
}

}  // namespace

json alert_json(const catalog::Alert& alert) {
  auto time = [](const std::optional<uint64_t>& time_ms) {
    return time_ms ? json(base::format_time_ms(*time_ms)) : json(nullptr);
  };
  const alerts::AlertKind& kind = alerts::kind_of(alert.kind);
  json silenced = nullptr;
  if (alert.silenced_until_ms && *alert.silenced_until_ms > base::now_ms()) {
    silenced = {{"until", base::format_time_ms(*alert.silenced_until_ms)},
                {"by", text_or_null(alert.silenced_by)},
                {"note", text_or_null(alert.silence_note)}};
  }
  return {{"id", alert.id},
          {"tenant", alert.tenant.text()},
          {"kind", alert.kind},
          {"severity", alerts::severity_name(kind.severity)},
          {"meaning", kind.meaning},
          {"advice", kind.advice},
          {"subject", alert.subject},
          {"message", alert.message},
          {"opened", base::format_time_ms(alert.opened_ms)},
          {"last", base::format_time_ms(alert.last_ms)},
          {"closed", time(alert.closed_ms)},
          {"acknowledged", time(alert.acknowledged_ms)},
          {"acknowledged_by", text_or_null(alert.acknowledged_by)},
          {"acknowledged_note", text_or_null(alert.acknowledged_note)},
          {"silenced", silenced}};
}

void add_alert_routes(Router& router, Services& services) {
  add_routes(
      router, services,
      {
          {"GET", "/api/v1/alerts", Privilege::alert_view, Resource::tenant, list_alerts},
          {"POST", "/api/v1/alerts/{id}/acknowledge", Privilege::alert_acknowledge, Resource::alert,
           acknowledge_alert},
          {"POST", "/api/v1/alerts/{id}/silence", Privilege::alert_acknowledge, Resource::alert,
           silence_alert},
          {"DELETE", "/api/v1/alerts/{id}/silence", Privilege::alert_acknowledge, Resource::alert,
           end_silence},
          {"GET", "/api/v1/alert-kinds", Privilege::alert_view, Resource::nothing, list_kinds},
      });
}

}  // namespace appliance::api
