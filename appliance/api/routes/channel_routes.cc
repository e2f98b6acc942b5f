// The channels through which people are notified of alerts. They belong to the appliance: whoever
// makes one decides what leaves it.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "appliance/api/http/body_fields.h"
#include "appliance/api/routes/json_values.h"
#include "appliance/api/routes/routes.h"
#include "appliance/notices/channels.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using nlohmann::json;

json standing_json(const notices::ChannelStanding& standing) {
  auto time = [](uint64_t time_ms) {
    return time_ms == 0 ? json(nullptr) : json(base::format_time_ms(time_ms));
  };
  return {{"failing_since", time(standing.failing_since_ms)},
          {"error", text_or_null(standing.error)},
          {"waiting_count", standing.queue.waiting_count},
          {"waiting_since", time(standing.queue.oldest_ms)},
          {"sent_count", standing.sent_count},
          {"dropped_count", standing.dropped_count},
          {"sent", time(standing.sent_ms)}};
}

json channels_json(Services& services, const std::string& only) {
  std::vector<notices::ChannelStanding> standings = services.channels->standings();
  json list = json::array();
  for (json& each : services.channels->list()) {
    std::string name = each["name"];
    if (!only.empty() && name != only) continue;
    each["standing"] = nullptr;
    for (const notices::ChannelStanding& standing : standings) {
      if (standing.name == name) each["standing"] = standing_json(standing);
    }
    list.push_back(std::move(each));
  }
  return list;
}

json channel_json(Services& services, const std::string& name) {
  json list = channels_json(services, name);
  if (list.empty())
    throw base::Error(base::ErrorCode::not_found, fmt::format("there is no channel '{}'", name));
  return list.front();
}

Response list_channels(Services& services, const Request&) {
  return json_response({{"channels", channels_json(services, "")}});
}

Response show_channel(Services& services, const Request& request) {
  return json_response({{"channel", channel_json(services, request.path_value("name"))}});
}

Response create_channel(Services& services, const Request& request) {
  json text = base::parse_json(request.body, "the body");
  services.channels->create(text, base::now_ms());
  return json_response({{"channel", channel_json(services, base::expect_text(text, "name", 255))}},
                       201);
}

Response delete_channel(Services& services, const Request& request) {
  services.channels->remove(request.path_value("name"));
  return json_response({{"deleted", true}});
}

void run_test(Services& services, const std::string& name, jobs::JobContext& context) {
  json channels = json::array();
  size_t failed = 0;
  for (const notices::ChannelTest& each : services.channels->test(name)) {
    failed += each.error.empty() ? 0 : 1;
    channels.push_back(
        {{"channel", each.channel}, {"error", each.error.empty() ? json() : json(each.error)}});
    context.log(fmt::format("{}: {}", each.channel, each.error.empty() ? "told" : each.error));
  }
  context.set_figures(base::dump_text(json{{"channels", channels}}));
  if (channels.empty()) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      "there is no alert channel: make one with 'muletto channel create', or set "
                      "alerts.command or alerts.webhook in mulettod.toml and restart mulettod");
  }
  if (failed > 0) {
    throw base::Error(
        base::ErrorCode::unavailable,
        fmt::format("{} of {} channels failed: see the job's log", failed, channels.size()));
  }
}

Response submit_test(Services& services, const Request& request, const std::string& name) {
  BodyFields(request.body).require_no_more();
  std::string subject = name.empty() ? "channels" : name;
  jobs::JobSpec spec{"alert-test", request.tenant(), subject, request.requester(),
                     "alert-test " + name};
  return accepted(services,
                  services.jobs.submit(spec, [&services, name](jobs::JobContext& context) {
                    run_test(services, name, context);
                  }));
}

Response test_channel(Services& services, const Request& request) {
  std::string name = request.path_value("name");
  channel_json(services, name);  // throws not_found
  return submit_test(services, request, name);
}

Response test_channels(Services& services, const Request& request) {
  return submit_test(services, request, "");
}

}  // namespace

void add_channel_routes(Router& router, Services& services) {
  add_routes(
      router, services,
      {
          {"GET", "/api/v1/channels", Privilege::channel_view, Resource::appliance, list_channels},
          {"POST", "/api/v1/channels", Privilege::channel_change, Resource::appliance,
           create_channel},
          {"GET", "/api/v1/channels/{name}", Privilege::channel_view, Resource::appliance,
           show_channel},
          {"DELETE", "/api/v1/channels/{name}", Privilege::channel_change, Resource::appliance,
           delete_channel},
          {"POST", "/api/v1/channels/{name}/test", Privilege::alert_test, Resource::appliance,
           test_channel},
          {"POST", "/api/v1/alert-tests", Privilege::alert_test, Resource::appliance,
           test_channels},
      });
}

}  // namespace appliance::api
