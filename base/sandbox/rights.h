// The privileges a confined command is left with. Failures end the process (options.h).
#pragma once

#include <sys/types.h>

#include "base/sandbox/options.h"

namespace base::sandbox {

void set_limits(const Options& options);

// Becomes this user and group, with no other groups and no capabilities, permanently. If the
// machine has no such user (a container with few), `nobody`.
void drop_rights(uid_t user);

// Installs the system call filter: refused calls fail with EPERM, those of other architectures end
// the process. Without `has_network`, only local sockets are allowed.
void filter_system_calls(bool has_network);

}  // namespace base::sandbox
