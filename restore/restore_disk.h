// Writes one disk of a point to a file or a block device. Files appear complete or not at all. One
// thread per call; calls may run concurrently.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "images/store/store_reader.h"
#include "restore/raw_writer.h"

namespace restore {

enum class Overwrite { refuse, replace };

struct DiskRestore {
  images::StoreReference store;
  images::PointId point;
  std::string disk_name;
  std::string target;                       // a file to be created, or a block device
  std::string format = "raw";               // one of formats()
  Overwrite overwrite = Overwrite::refuse;  // a block device always needs `replace`
  uint32_t thread_count = 2;
  ProgressCallback on_progress;
  std::stop_token stop;
};

struct DiskResult {
  uint64_t size = 0;           // bytes of the disk
  uint64_t bytes_written = 0;  // without zeros; for formats other than raw: of the file
  uint64_t duration_ms = 0;
};

// "raw" and what qemu-img writes: qcow2, vmdk, vhdx, vdi, vpc, qcow, qed, parallels.
const std::vector<std::string>& formats();

// Durable when it returns. Throws already_exists, invalid_argument (unknown format, target too
// small), busy (the device is in use), no_space, corrupt, cancelled, …; then a file does not exist
// or is still the old one, and a device holds a part of the disk. `reader` is the open store.
DiskResult restore_disk(images::StoreReader& reader, const DiskRestore& options);

}  // namespace restore
