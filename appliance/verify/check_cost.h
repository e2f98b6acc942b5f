// What the check of a file system will cost, computed from the file system before the check starts:
// its program gets as much memory and time as it needs, or is not started, so that no large file
// system is ever called damaged because its checker ran out of memory. The numbers come from what a
// guest wrote, so they only choose within fixed limits. Formats: the kernel's ext4 documentation
// ("Super Block"), "XFS Filesystem Structure", btrfs' "On-disk Format", Microsoft's FAT
// specification. Pure functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"

namespace appliance::verify {

// Where the block with a file system's sizes begins, in units of its length.
constexpr uint64_t kSizesBlock = 4096;  // bytes
uint64_t sizes_block_of(std::string_view type);

struct CheckCost {
  uint64_t memory_size = 0;  // bytes that the program needs at most
  std::chrono::milliseconds timeout{};
};

// `type` is blkid's, `block` what is at sizes_block_of(type): kSizesBlock bytes, or whatever is
// there.
CheckCost cost_of(std::string_view type, base::ByteView block);

// The most that a check may have: half of this machine's memory, and not more than 8 GiB.
uint64_t most_check_memory();

}  // namespace appliance::verify
