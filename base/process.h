// What a program settles about its own process, before it does anything else and before it starts a
// thread. Functions; not thread-safe.
#pragma once

#include <string>

namespace base {

// For every program: standard streams that were closed are opened on /dev/null, so that no file
// takes their numbers, and the ends of children are not ignored.
void settle_process();

// For a service that holds keys: what it makes is private (umask 077), it leaves no core dump,
// neither do its children, it may open as many files as the system lets it, up to 65536, and gives
// memory back that it does not use any more.
void settle_service();

// The value of an environment variable, which neither this process nor its children have any more;
// empty if it is not set.
std::string take_environment(const char* name);

}  // namespace base
