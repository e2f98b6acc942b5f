// What agents that run as a service ask: docs/protocol.md, "Orders".
#include <nlohmann/json.hpp>

#include "appliance/api/routes.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using nlohmann::json;

constexpr size_t kMaxReport = 512 * 1024;  // bytes
constexpr size_t kMaxSentence = 500;       // bytes

schedule::Poll read_poll(const std::string& body) {
  schedule::Poll poll;
  try {
    json fields = json::parse(body);
    if (fields.contains("report") && !fields.at("report").is_null()) {
      const json& report = fields.at("report");
      for (const json& machine : report.at("machines"))
        poll.machines.push_back(machine.at("name").get<std::string>());
      poll.report = report.dump();
    }
    for (const json& outcome : fields.value("outcomes", json::array())) {
      poll.outcomes.push_back({outcome.at("order").get<uint64_t>(),
                               outcome.at("succeeded").get<bool>(),
                               outcome.value("error", "").substr(0, kMaxSentence)});
    }
    for (const json& sync : fields.value("running", json::array())) {
      poll.running.push_back({sync.at("order").get<uint64_t>(),
                              sync.at("machine").get<std::string>(),
                              sync.value("done", uint64_t{0}), sync.value("total", uint64_t{0})});
    }
  } catch (const json::exception& error) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      std::string("the agent's message cannot be read: ") + error.what());
  }
  if (poll.report && poll.report->size() > kMaxReport)
    throw base::Error(base::ErrorCode::invalid_argument, "the agent's report is too large");
  for (const schedule::SyncUnderWay& sync : poll.running)
    base::check_name(sync.machine, "machine's name");
  return poll;
}

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
