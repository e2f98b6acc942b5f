// Where the key of an encrypted store comes from, and the keys it unlocks.
#pragma once

#include <optional>
#include <string>

#include "base/crypto.h"
#include "images/store_reference.h"

namespace images {

// The user's secret. Both empty: the store is not encrypted.
struct KeySource {
  std::string passphrase;
  base::Bytes key_file;  // the file's content, 32 to 4096 bytes

  bool empty() const { return passphrase.empty() && key_file.empty(); }
};

// Reads the file of `--key-file PATH` or the first line of `--passphrase-file PATH`; both may be
// empty strings. Throws not_found, invalid_argument.
KeySource read_key_source(const std::string& passphrase_path, const std::string& key_path);
inline KeySource read_key_source(const StoreReference& store) {
  return read_key_source(store.passphrase_file, store.key_file);
}

// The keys derived from one random master key, which is wrapped under the KeySource.
struct StoreKeys {
  base::Key256 ids;        // chunk ids: HMAC-SHA-256
  base::Key256 records;    // chunk content: AES-256-GCM with one key per id
  base::Key256 manifests;  // private parts of manifests: AES-256-GCM
};

}  // namespace images
