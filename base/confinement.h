// How a program that reads hostile bytes is run: as the user `nobody`, without any right it could
// gain back, at the lowest priority, with bounded memory and output, and dead when its starter
// dies. Made of util-linux's own programs, as words in front of the command. A pure function.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace base {

struct Confinement {
  // Runs in this process's mount and network namespaces; none: in the starter's.
  std::optional<pid_t> namespaces_of;
  uint64_t memory_size = 1ull << 30;  // bytes of address space
  uint64_t file_size = 16ull << 20;   // bytes, of each file it writes; 0: as large as it likes
};

// The command with what confines it in front. For Subprocess, which kills it with its object. Needs
// root.
std::vector<std::string> confined(const std::vector<std::string>& command,
                                  const Confinement& confinement = {});

}  // namespace base
