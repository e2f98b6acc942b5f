// What lies at the beginning and the end of a disk: file systems, partition tables, parts of
// volumes, as libblkid names them. The bytes may be hostile: `blkid` sees only a copy of the first
// and last MiB, in a jail. Functions; thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace restore {

struct DiskContent {
  // "gpt partition table 1b2c…", "ext4 file system 'data' 0c5f…"; sorted; printable.
  std::vector<std::string> signatures;
  bool is_blank = false;  // the looked-at parts are zeros only
};

// Reads `out.size()` bytes at `offset` of the disk.
using ReadPart = std::function<void(uint64_t offset, base::MutableByteView out)>;

// Throws what `read` throws; unavailable if blkid cannot be run.
DiskContent content_of(uint64_t disk_size, const ReadPart& read);

}  // namespace restore
