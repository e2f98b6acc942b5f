// The key file of an encrypted store: one random master key, wrapped under the user's secret.
// Changing the passphrase or key file rewrites only this file, no pack. Functions; thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "base/file_system.h"
#include "images/store/store_key.h"

namespace images {

// Creates a master key and the key file; durable when it returns.
void create_store_key(base::FileSystem& files, const std::string& store, const KeySource& source,
                      uint32_t scrypt_log2_n);

// Throws unauthorized if `source` is missing or wrong, corrupt if the key file is damaged.
StoreKeys open_store_keys(base::FileSystem& files, const std::string& store,
                          const KeySource& source);

// Wraps the same master key under another passphrase or key file; durable when it returns. The old
// one no longer opens the store, but opens any older copy of the key file.
void rewrap_store_key(base::FileSystem& files, const std::string& store,
                      const KeySource& old_source, const KeySource& new_source,
                      uint32_t scrypt_log2_n);

}  // namespace images
