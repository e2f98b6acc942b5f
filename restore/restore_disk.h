// Writes one disk of a point to a file or a block device. A new file appears complete or not at
// all; in place, only what differs is written (engine/disk_writer.h), and an interrupted restore is
// resumed by the same call. One thread per call; calls may run concurrently.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "images/store/store_reader.h"
#include "restore/engine/disk_writer.h"
#include "restore/engine/target_check.h"

namespace restore {

enum class Placement {
  // A new file beside the target takes its name when it is complete. The old one, if any, is kept
  // until then. A block device is always written in place.
  replace,
  in_place,  // raw only
};

struct DiskRestore {
  images::StoreReference store;
  images::PointId point;
  std::string machine_name;  // of the point: what must be said to overwrite something
  std::string disk_name;
  std::string target;             // a file, which may exist, or a block device
  std::string format = "raw";     // one of formats()
  bool stream_optimized = false;  // of vmdk: compressed, for OVF
  Placement placement = Placement::replace;
  Overwriting overwriting;
  // Asked if something would be overwritten without permission: gets a sentence that ends in a
  // colon, returns what a person types. May be empty: then it is refused.
  std::function<std::string(const std::string& question)> ask;
  WriteOptions write;  // its rate limit holds for every format; a survey needs a raw target
};

struct DiskResult {
  WriteResult written;
  uint64_t file_size = 0;  // bytes on the medium; of a file that qemu-img wrote, else 0
  uint64_t duration_ms = 0;
  std::vector<std::string> notes;  // sentences: what became of a larger target's rest, …
};

// "raw" and what qemu-img writes: qcow2, vmdk, vhdx, vdi, vpc, qcow, qed, parallels.
const std::vector<std::string>& formats();

// Everything that can be refused without writing: several targets are checked before the first is
// written. Asks, and keeps the answer in `options`. Throws as restore_disk().
void check_restore(images::StoreReader& reader, DiskRestore& options);

// Durable, and read back as options.write.verify says, when it returns. Throws already_exists (not
// permitted to overwrite it), invalid_argument (unknown format, target too small), busy (in use),
// no_space, corrupt, cancelled, io (what is read back is something else), …; then a new file does
// not exist or is still the old one, and what is written in place holds a part of the disk.
// `reader` is the open store.
DiskResult restore_disk(images::StoreReader& reader, const DiskRestore& options);

}  // namespace restore
