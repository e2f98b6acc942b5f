// Image formats other than raw, written by qemu-img from an NBD export of the point.
#pragma once

#include <cstdint>
#include <string>

#include "images/disk_reader.h"
#include "restore/restore_disk.h"

namespace restore {

// Writes `path`, a new file, and compares it with the point (qemu-img compare) unless
// options.write.verify is none; returns its size on disk. Throws no_space, io, cancelled; qemu-img has
// ended then, and the file is left as it was at that moment. Call it from a thread that lives as
// long as the call's child processes: they end with it.
uint64_t convert_image(images::DiskReader& disk, const DiskRestore& options,
                       const std::string& path);

}  // namespace restore
