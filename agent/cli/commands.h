// The commands of muletto-agent, one function and one file each.
#pragma once

#include <stop_token>

#include "base/program.h"

namespace agent::cli {

base::Command enroll_command();
base::Command sync_command(std::stop_token stop);
base::Command run_command(std::stop_token stop);
base::Command list_command();
base::Command status_command();

}  // namespace agent::cli
