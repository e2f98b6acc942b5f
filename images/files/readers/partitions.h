// The partitions of a disk, by its MBR or GUID table. Sources: UEFI specification 2.10, chapter 5;
// the usual form of MBR with extended partitions. Hostile input; pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "images/disk_source.h"

namespace images::files {

struct Partition {
  uint32_t number = 0;            // from 1
  uint64_t offset = 0, size = 0;  // bytes; within the disk
};

// None for a disk without a table. At most 256; what does not lie on the disk is left out. Throws
// what the disk throws.
std::vector<Partition> partitions_of(DiskSource& disk);

}  // namespace images::files
