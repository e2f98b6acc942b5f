// `muletto-agent run`: reports this host's machines and their state to the appliance, runs the
// syncs the appliance orders, and recovers by itself after either side was unavailable.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "agent/config.h"

namespace agent::daemon {

// Runs until `stop`. `sync_command` starts a sync when a machine's name is appended to it. Throws
// not_found (not enrolled), busy (another service runs here), and unauthorized if the appliance has
// said for hours that it revoked this host. Every other problem with the contact is reported
// (agent/contact.h) and retried.
void run_service(const Config& config, const std::vector<std::string>& sync_command,
                 std::stop_token stop);

}  // namespace agent::daemon
