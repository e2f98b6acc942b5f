// AES on the sectors of an encrypted volume, as dm-crypt has it: XTS (IEEE 1619) and CBC, with the
// IVs of volume_map.h; implemented with OpenSSL. Functions are thread-safe.
#pragma once

#include "base/bytes.h"
#include "images/volumes/volume_map.h"

namespace images::volumes {

// Decrypts whole sectors in place; `offset` is where they begin in the layer, a multiple of the
// sector size. Throws io if OpenSSL refuses the key.
void decrypt_sectors(const Cipher& cipher, uint64_t offset, base::MutableByteView bytes);

// The opposite, for tests that make encrypted volumes.
void encrypt_sectors(const Cipher& cipher, uint64_t offset, base::MutableByteView bytes);

}  // namespace images::volumes
