// Makes the Windows in an instant VM's overlay start on the hardware that this appliance offers,
// before it starts: see hive_edit.h for what is changed. The point is never changed. What is read is
// hostile: QEMU's storage daemon presents a partition of the overlay as a file in a mount namespace
// of its own, this machine's kernel never parses it, and muletto-windows works on it confined.
// Functions; thread-safe for different overlays.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "appliance/boot/machine/disk_inspection.h"
#include "images/disk_reader.h"

namespace appliance::boot {

// A partition that begins as NTFS does.
struct NtfsPartition {
  std::string disk;     // its name in the point
  uint64_t offset = 0;  // bytes
  uint64_t size = 0;    // bytes; up to the next partition or the end of the disk
};

// At most 16. Reads 512 bytes of each partition; throws what the reader throws.
std::vector<NtfsPartition> ntfs_partitions(images::DiskReader& disk,
                                           const DiskInspection& inspection);

struct WindowsOutcome {
  std::vector<std::string> notes;  // sentences: what was changed, and what could not be
  std::string changes;             // JSON, for take_back_windows(); empty: nothing was changed
  bool must_discard = false;       // it failed while writing: the overlay must be made again
};

// Never throws: a failure is a note, because in a disaster the VM must start. Takes about a second.
WindowsOutcome prepare_windows(const std::string& overlay_path, const NtfsPartition& partition);

enum class ImageFormat { qcow2, raw };

// The opposite, on an overlay or another disk (a raw image, a block device) that no VM uses. Returns
// a sentence; throws what is wrong.
std::string take_back_windows(const std::string& disk_path, ImageFormat format,
                              const NtfsPartition& partition, const std::string& changes);

}  // namespace appliance::boot
