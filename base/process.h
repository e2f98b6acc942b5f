// What a program sets up for its own process, before it does anything else and before it starts a
// thread. Functions; not thread-safe.
#pragma once

#include <string>

namespace base {

// For every program: standard streams that were closed are opened on /dev/null, so that no file
// gets their numbers, and SIGCHLD is not ignored.
void settle_process();

// For a service that holds keys: the files it creates are private (umask 077); neither it nor its
// children leave a core dump; it may open as many files as the system allows, up to 65536; and it
// returns unused memory to the system.
void settle_service();

// Removes an environment variable, so that neither this process nor its children have it any more,
// and returns its value; empty if it is not set.
std::string take_environment(const char* name);

}  // namespace base
