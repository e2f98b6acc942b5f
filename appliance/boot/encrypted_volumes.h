// What a start will ask for because volumes are encrypted, found before it by the same readers that
// test boots use (images/volumes/). Only the first sector of each partition is looked at. Pure
// functions.
#pragma once

#include <string>
#include <vector>

#include "appliance/boot/machine/disk_inspection.h"
#include "images/disk_reader.h"

namespace appliance::boot {

// Sentences, at most one of each kind of encryption. Throws what the reader throws.
std::vector<std::string> encryption_notes(images::DiskReader& disk,
                                          const DiskInspection& inspection);

}  // namespace appliance::boot
