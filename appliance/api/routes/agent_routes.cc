// Requests of agents that run as a service: docs/protocol.md, "Orders".
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "appliance/api/http/body_fields.h"
#include "appliance/api/routes/agent_poll.h"
#include "appliance/api/routes/routes.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using nlohmann::json;

constexpr uint64_t kRestoringWaitMs = 1000;  // while a restore is running

// What cannot be known is left out: the agent keeps off what it kept off before.
void add_kept_off(Services& services, const Request& request, json& answer) {
  if (services.keep_off == nullptr) return;
  const catalog::Host& host = *request.principal.host;
  services.keep_off->take(host, read_kept_off(request.body));
  try {
    json list = json::array();
    for (const failback::KeptOffMachine& each : services.keep_off->list(host)) {
      list.push_back({{"machine", each.machine},
                      {"boot", each.boot},
                      {"age_ms", each.age_ms},
                      {"after", each.after}});
    }
    answer["keep_off"] = std::move(list);
  } catch (const base::Error& error) {
    base::log().warn("host '{}' is not told what to keep off: {}", host.name, error.message());
  }
}

Response poll_orders(Services& services, const Request& request) {
  const catalog::Host& host = *request.principal.host;
  std::vector<homeward::RestoreReport> restores = read_restores(request.body);
  schedule::PollAnswer answer = services.scheduler.poll(host, read_poll(request.body));
  homeward::RestoreAnswer restoring;
  if (services.host_restores != nullptr) restoring = services.host_restores->poll(host, restores);
  json to_restore = json::array();
  for (const std::string& order : restoring.orders)
    to_restore.push_back(base::find_json(order).value_or(json::object()));
  bool is_restoring = !to_restore.empty() || !restores.empty();
  if (is_restoring) answer.wait_ms = std::min(answer.wait_ms, kRestoringWaitMs);
  if (restoring.wait_ms) answer.wait_ms = std::min(answer.wait_ms, *restoring.wait_ms);
  json orders = json::array();
  for (const schedule::Order& order : answer.orders)
    orders.push_back({{"order", order.id}, {"machine", order.machine}});
  json result{{"orders", orders},
              {"to_forget", answer.to_forget},
              {"restores", to_restore},
              {"end_restores", restoring.ended},
              {"rate", answer.rate ? json(*answer.rate) : json(nullptr)},
              {"wait_ms", answer.wait_ms},
              {"wants_report", answer.wants_report}};
  add_kept_off(services, request, result);
  return json_response(result);
}

// {"request" (PEM)}: a new certificate for the requesting host, valid in addition to its old one.
Response renew_certificate(Services& services, const Request& request) {
  BodyFields body(request.body);
  std::string signing_request = body.required_text("request");
  body.require_no_more();
  const catalog::Host& host = *request.principal.host;
  uint64_t now = base::now_ms(), from = host.certified_ms + pki::kHostRenewal_ms;
  if (now < from) {
    throw base::Error(
        base::ErrorCode::busy,
        fmt::format("the certificate of '{}' was issued on {} and can be renewed from {} on",
                    host.name, base::format_time_ms(host.certified_ms),
                    base::format_time_ms(from)));
  }
  pki::HostCertificate certificate = services.authority.sign_host(signing_request, host.id.hex());
  services.catalog.add_certificate(host.id, certificate.serial, now);
  base::log().info("the certificate of host '{}' is renewed until {}", host.name,
                   base::format_time_ms(certificate.not_after_ms));
  return json_response({{"certificate", certificate.certificate_pem},
                        {"expires", base::format_time_ms(certificate.not_after_ms)}},
                       201);
}

}  // namespace

void add_agent_routes(Router& router, Services& services) {
  add_routes(
      router, services,
      {
          {"POST", "/api/v1/agent/poll", Privilege::host_work, Resource::host_itself, poll_orders},
          {"POST", "/api/v1/agent/renew", Privilege::host_work, Resource::host_itself,
           renew_certificate},
      });
}

}  // namespace appliance::api
