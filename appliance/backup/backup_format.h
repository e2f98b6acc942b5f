// The bytes of a backup of the appliance: docs/format.md, "Backup of the appliance". Pure functions
// except for randomness; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/access/node_id.h"
#include "base/bytes.h"
#include "base/crypto.h"

namespace appliance::backup {

constexpr uint64_t kMaxBackupSize = 1ull << 30;   // bytes of a backup
constexpr uint64_t kMaxContentSize = 4ull << 30;  // bytes of all files in it
constexpr size_t kMaxFiles = 10'000;

struct BackupFile {
  std::string name;  // "catalog.sqlite", "pki/ca.key": content.h says which there are
  base::Bytes bytes;
};

struct Backup {
  uint64_t made_ms = 0;  // UTC, since 1970
  access::NodeId node{};
  std::string host_name;  // of the appliance, for people
  std::string version;    // of the program that made it
  std::vector<BackupFile> files;
};

enum class Sealing : uint32_t {
  none,        // in a store that is not encrypted
  passphrase,  // scrypt of what a person knows
  store_key,   // the key of the encrypted store that it is in
};

// What opens a backup, or seals a new one; both empty: nothing.
struct BackupKey {
  std::string passphrase;
  std::optional<base::Key256> store_key;  // as store_backup_key() derives it

  Sealing sealing() const;
};

// Throws invalid_argument for content beyond the limits.
base::Bytes encode_backup(const Backup& backup, const BackupKey& key);

// How it is sealed. Throws corrupt, unsupported (a newer version).
Sealing sealing_of(base::ByteView bytes);
// Throws corrupt, unsupported, unauthorized (the key is missing or wrong). Sizes are checked before
// anything is allocated.
Backup decode_backup(base::ByteView bytes, const BackupKey& key);

}  // namespace appliance::backup
