// LUKS, versions 1 and 2, opened with a key. Ciphers: AES with XTS or CBC. Sources: "LUKS1 On-Disk
// Format" 1.2.3 and "LUKS2 On-Disk Format" 1.1.1 of the cryptsetup project. Everything read is
// hostile: sizes and costs are bounded before anything is allocated or computed. Not thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "images/volumes/keys/volume_key.h"
#include "images/volumes/layered_disks.h"

namespace images::volumes {

// Whether `block` begins as LUKS does.
bool is_luks(const LayeredDisks& disks, const Block& block);

// Adds the layer of what is in it. Throws unauthorized, in words for people, if no key opens it;
// unsupported for a kind that is not read; corrupt for a header that is damaged.
Source open_luks(LayeredDisks& disks, const Block& block, const std::vector<VolumeKey>& keys);

}  // namespace images::volumes
