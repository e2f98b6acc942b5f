// The appliance's clock, and an operator's confirmation that it is right.
#include <nlohmann/json.hpp>

#include "appliance/api/routes/routes.h"
#include "appliance/schedule/clock_trust.h"
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

Response show_clock(Services& services, const Request&) {
  return answer(services.clock_trust->look());
}

Response accept_clock(Services& services, const Request&) {
  return answer(services.clock_trust->accept());
}

}  // namespace

void add_clock_routes(Router& router, Services& services) {
  add_routes(router, services,
             {
                 {"GET", "/api/v1/clock", Privilege::clock_view, Resource::nothing, show_clock},
                 {"POST", "/api/v1/clock/accept", Privilege::clock_accept, Resource::appliance,
                  accept_clock},
             });
}

}  // namespace appliance::api
