// Starting several instant VMs with one command.
#pragma once

#include "appliance/cli/api_client.h"

namespace appliance::cli {

// --then, --all, --delay, --at-once, --keep-going.
void declare_several(base::options::options_description_easy_init add);

// More than one point is named, or an order of points.
bool means_several(const base::Arguments& arguments);

// `body` contains what applies to each VM. Prints the outcome of each; returns the exit code.
int start_several(const base::Arguments& arguments, nlohmann::json body);

}  // namespace appliance::cli
