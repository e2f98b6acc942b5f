// The rights a confined command is left with. Failures end the process (options.h).
#pragma once

#include <sys/types.h>

#include "base/sandbox/options.h"

namespace base::sandbox {

void set_limits(const Options& options);

// Becomes this user and group, alone, without capabilities, for good. Where the machine has no such
// user (a container with few), `nobody`.
void drop_rights(uid_t user);

// The filter of system calls: refused ones fail with EPERM, those of other architectures end the
// process. Without `has_network`, sockets are local ones only.
void filter_system_calls(bool has_network);

}  // namespace base::sandbox
