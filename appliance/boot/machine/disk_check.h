// Whether a disk of a point can be read where a boot begins, determined before the start rather
// than by the guest. Cheap at any size: the first mebibyte, the beginning of each partition, the
// last sector, and the tree's nodes at a few places in between; finding damage elsewhere is up to
// the store's check. Thread-safe.
#pragma once

#include <optional>
#include <string>

#include "appliance/boot/machine/disk_inspection.h"
#include "images/disk_reader.h"

namespace appliance::boot {

// What is wrong, as a sentence; nothing if everything examined is intact. Only damage is reported
// this way: other errors are thrown.
std::optional<std::string> damage_where_boot_begins(images::DiskReader& disk,
                                                    const DiskInspection& inspection);

}  // namespace appliance::boot
