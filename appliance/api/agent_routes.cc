// What agents that run as a service ask: docs/protocol.md, "Orders".
#include <nlohmann/json.hpp>

#include "appliance/api/agent_poll.h"
#include "appliance/api/routes.h"

namespace appliance::api {
namespace {

using nlohmann::json;

Response poll_orders(Services& services, const Request& request) {
  const catalog::Host& host = *request.principal.host;
  schedule::PollAnswer answer = services.scheduler.poll(host, read_poll(request.body));
  json orders = json::array();
  for (const schedule::Order& order : answer.orders)
    orders.push_back({{"order", order.id}, {"machine", order.machine}});
  return json_response({{"orders", orders},
                        {"rate", answer.rate ? json(*answer.rate) : json(nullptr)},
                        {"wait_ms", answer.wait_ms},
                        {"wants_report", answer.wants_report}});
}

}  // namespace

void add_agent_routes(Router& router, Services& services) {
  router.add({"POST", "/api/v1/agent/poll", Access::agents,
              [&services](const Request& request) { return poll_orders(services, request); }});
}

}  // namespace appliance::api
