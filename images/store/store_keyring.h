// The key file of an encrypted store: one random master key, wrapped under the user's secret.
// Changing the passphrase or key file rewrites only this file, no pack. Functions; thread-safe.
#pragma once

#include <cstdint>

#include "images/store/place/store_place.h"
#include "images/store/store_key.h"

namespace images {

// The key file of a new store: a new master key, wrapped.
NewBlob new_store_key(const KeySource& source, uint32_t scrypt_log2_n);

// Throws unauthorized if `source` is missing or wrong, corrupt if the key file is damaged.
StoreKeys open_store_keys(BlobStore& blobs, const KeySource& source);

// Wraps the same master key under another passphrase or key file; durable when it returns. The old
// one no longer opens the store, but opens any older copy of the key file.
// Throws busy if another process changed it at the same time.
void rewrap_store_key(BlobStore& blobs, const KeySource& old_source, const KeySource& new_source,
                      uint32_t scrypt_log2_n);

}  // namespace images
