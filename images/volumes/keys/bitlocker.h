// BitLocker volumes of Windows 7 and later, opened with a recovery key (48 digits), a password, or
// without any where protection was suspended. AES with XTS, or with CBC without the diffuser.
// Sources: the format as documented by the libbde project ("BitLocker Drive Encryption (BDE) format
// specification") and the cryptsetup project. Everything read is hostile. Not thread-safe.
#pragma once

#include <vector>

#include "images/volumes/keys/volume_key.h"
#include "images/volumes/layered_disks.h"

namespace images::volumes {

// Whether `block` begins as a BitLocker volume does.
bool is_bitlocker(const LayeredDisks& disks, const Block& block);

// As open_luks().
Source open_bitlocker(LayeredDisks& disks, const Block& block, const std::vector<VolumeKey>& keys);

// The key that a recovery key ("123456-…", eight groups) or a password stands for, before it is
// stretched. Empty if it is no recovery key.
base::Bytes recovery_key_of(std::string_view digits);

}  // namespace images::volumes
