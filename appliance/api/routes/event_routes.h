// What has just happened, as a list and as a stream.
#pragma once

#include "appliance/api/http/router.h"
#include "appliance/events/event_log.h"

namespace appliance::api {

// `log` must outlive the router.
void add_event_routes(Router& router, events::EventLog& log);

}  // namespace appliance::api
