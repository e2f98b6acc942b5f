// What is wrong, what it means, and whether notifications of it work.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "appliance/alerts/channels.h"
#include "appliance/alerts/kinds.h"
#include "appliance/api/http/body_fields.h"
#include "appliance/api/routes/json_values.h"
#include "appliance/api/routes/problems.h"
#include "appliance/api/routes/routes.h"
#include "base/error.h"
#include "base/json_access.h"
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

Response acknowledge_alert(Services& services, const Request& request) {
  int64_t id = 0;
  try {
    id = std::stoll(request.path_value("id"));
  } catch (const std::exception&) {
    throw base::Error(base::ErrorCode::invalid_argument, "an alert's id must be a whole number");
  }
  catalog::Alert alert = services.catalog.acknowledge_alert(id, request.scope(), base::now_ms());
  return json_response({{"alert", alert_json(alert)}});
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

void run_test(Services& services, jobs::JobContext& context) {
  json channels = json::array();
  size_t failed = 0;
  for (const alerts::ChannelTest& each : services.channels->test()) {
    failed += each.error.empty() ? 0 : 1;
    channels.push_back(
        {{"channel", each.channel}, {"error", each.error.empty() ? json() : json(each.error)}});
    context.log(fmt::format("{}: {}", each.channel, each.error.empty() ? "told" : each.error));
  }
  context.set_figures(base::dump_text(json{{"channels", channels}}));
  if (channels.empty()) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      "no alert channel is configured: set alerts.command or alerts.webhook in "
                      "mulettod.toml, and restart mulettod");
  }
  if (failed > 0) {
    throw base::Error(
        base::ErrorCode::unavailable,
        fmt::format("{} of {} channels failed: see the job's log", failed, channels.size()));
  }
}

Response test_channels(Services& services, const Request& request) {
  BodyFields(request.body).require_no_more();
  jobs::JobSpec spec{"alert-test", request.tenant(), "channels", request.requester(), "alert-test"};
  return accepted(services, services.jobs.submit(spec, [&services](jobs::JobContext& context) {
    run_test(services, context);
  }));
}

}  // namespace

json alert_json(const catalog::Alert& alert) {
  auto time = [](const std::optional<uint64_t>& time_ms) {
    return time_ms ? json(base::format_time_ms(*time_ms)) : json(nullptr);
  };
  const alerts::AlertKind& kind = alerts::kind_of(alert.kind);
  return {{"id", alert.id},
          {"tenant", alert.tenant.text()},
          {"kind", alert.kind},
          {"severity", alerts::severity_name(kind.severity)},
          {"advice", kind.advice},
          {"subject", alert.subject},
          {"message", alert.message},
          {"opened", base::format_time_ms(alert.opened_ms)},
          {"closed", time(alert.closed_ms)},
          {"acknowledged", time(alert.acknowledged_ms)}};
}

void add_alert_routes(Router& router, Services& services) {
  add_routes(
      router, services,
      {
          {"GET", "/api/v1/alerts", Privilege::alert_view, Resource::tenant, list_alerts},
          {"POST", "/api/v1/alerts/{id}/acknowledge", Privilege::alert_acknowledge, Resource::alert,
           acknowledge_alert},
          {"GET", "/api/v1/alert-kinds", Privilege::alert_view, Resource::nothing, list_kinds},
          {"POST", "/api/v1/alert-tests", Privilege::alert_test, Resource::appliance,
           test_channels},
      });
}

}  // namespace appliance::api
