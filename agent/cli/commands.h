// The commands of muletto-agent, one function and one file each.
#pragma once

#include <stop_token>

#include "base/program.h"

namespace agent::cli {

base::Command enroll_command();
// Carries out an order to restore; used by muletto-agent run.
base::Command restore_command(std::stop_token stop);
base::Command sync_command(std::stop_token stop);
base::Command run_command(std::stop_token stop);
base::Command list_command();
base::Command forget_command();
base::Command status_command();
// Needs no appliance, and works on a host that is not enrolled.
base::Command doctor_command();

// The machines of the settings, and the domains of this host's libvirt. Throws what load_config()
// throws; without libvirt there are no domains.
std::vector<base::Candidate> completion_names(const base::NameRequest& request);

}  // namespace agent::cli
