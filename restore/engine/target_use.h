// Who uses a file or a block device on this machine: mounts, swap, volumes made of it, loop devices.
// Functions; thread-safe.
#pragma once

#include <string>
#include <vector>

namespace restore {

// One sentence part for each use, as "sdb1 is mounted on /srv" or "sdb2 is a part of dm-3
// (vg0-root)"; empty if nothing was found. For a block device also what its partitions, and what is
// made of it, are used for; for a file, that it is the backing of a loop device, swap, or open in a
// QEMU. `fd` is open for reading. What cannot be looked up is not used: an exclusive open decides.
std::vector<std::string> find_uses(int fd);

}  // namespace restore
