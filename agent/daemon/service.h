// `muletto-agent run`: tells the appliance what this host has and how it does, runs the syncs the
// appliance orders, and comes back by itself when either side was away.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "agent/config.h"

namespace agent::daemon {

// Runs until `stop`. `sync_command` starts a sync when a machine's name is put behind it. Throws
// not_found (not enrolled), busy (another service runs here), and unauthorized when the appliance
// has said for hours that it revoked this host. Everything else that keeps it from the appliance is
// told (agent/contact.h) and tried again.
void run_service(const Config& config, const std::vector<std::string>& sync_command,
                 std::stop_token stop);

}  // namespace agent::daemon
