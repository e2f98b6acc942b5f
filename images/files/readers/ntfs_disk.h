// A disk as libntfs-3g wants it: its "device", which reads, and writes nothing. Functions; not
// thread-safe.
#pragma once

#include <cstdint>

#include "images/disk_source.h"

struct ntfs_device;

namespace images::files {

struct NtfsDisk {
  DiskSource* disk = nullptr;
  int64_t place = 0;  // where the next read begins
};

// For ntfs_device_mount(), which then owns it; null if there is no memory. `disk` must outlive it.
ntfs_device* make_ntfs_device(NtfsDisk& disk);

}  // namespace images::files
