// Whether a disk of a point can be read where a boot begins, found out before the start instead of
// by the guest. Cheap at any size: the first mebibyte, the beginning of each partition, the last
// sector, and the tree's nodes at a few places between; damage elsewhere is for the store's check
// to find. Thread-safe.
#pragma once

#include <optional>
#include <string>

#include "appliance/boot/machine/disk_look.h"
#include "images/disk_reader.h"

namespace appliance::boot {

// What is wrong, as a sentence; nothing if all that was looked at is whole. Only damage is an
// answer: other errors are thrown.
std::optional<std::string> damage_where_boot_begins(images::DiskReader& disk, const DiskLook& look);

}  // namespace appliance::boot
