// The appliance's clock, and an operator's confirmation that it is right.
#include <nlohmann/json.hpp>

#include "appliance/api/routes/routes.h"
#include "base/text.h"

namespace appliance::api {
namespace {

Response answer(const schedule::ClockStanding& clock) {
  using nlohmann::json;
  return json_response(
      {{"clock",
        {{"time", base::format_time_ms(clock.now_ms)},
         {"trusted", clock.trusted},
         {"trusted_time", base::format_time_ms(clock.trusted_ms)},
         {"synchronized", clock.synchronized},
         {"problem", clock.problem.empty() ? json(nullptr) : json(clock.problem)}}}});
}

}  // namespace

void add_clock_routes(Router& router, Services& services) {
  router.add({"GET", "/api/v1/clock", Access::operators,
              [&services](const Request&) { return answer(services.clock_trust->look()); }});
  router.add({"POST", "/api/v1/clock/accept", Access::whole_appliance,
              [&services](const Request&) { return answer(services.clock_trust->accept()); }});
}

}  // namespace appliance::api
