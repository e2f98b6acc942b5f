// `muletto-agent run`: reports this host's machines and their state to the appliance, runs the
// syncs the appliance orders, and recovers by itself after either side was unavailable.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "agent/config.h"

namespace agent::daemon {

// Programs with their arguments, to which "--" and a machine's name are appended.
struct ServiceCommands {
  std::vector<std::string> sync;     // syncs it
  std::vector<std::string> forget;   // removes what syncs keep of it on this host
  std::vector<std::string> restore;  // carries out an order, whose file is appended instead
};

// Runs until `stop`. Throws not_found (not enrolled), busy (another service runs here), and unauthorized if the appliance has
// said for hours that it revoked this host. Every other problem with the contact is reported
// (agent/contact.h) and retried.
void run_service(const Config& config, const ServiceCommands& commands, std::stop_token stop);

}  // namespace agent::daemon
