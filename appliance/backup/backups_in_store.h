// Where backups of an appliance are in a store: appliance/<node id>-<time>.backup, the time as 13 digits
// of milliseconds since 1970 (docs/format.md, "Backup of the appliance"). Functions; thread-safe. Errors:
// as the place's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "appliance/access/node_id.h"
#include "appliance/backup/backup_format.h"
#include "images/store/place/store_place.h"
#include "images/store/store_key.h"

namespace appliance::backup {

constexpr size_t kBackupsKept = 3;  // of each appliance in a store

struct StoredBackup {
  access::NodeId node{};
  uint64_t made_ms = 0;
  std::string name;  // of the blob
};

// By node, the newest first. Empty if the store holds none.
std::vector<StoredBackup> backups_in(images::StorePlace& place);

// The newest one of the appliance, or of the only appliance that has any. Throws not_found;
// invalid_argument, naming them, if there are several appliances and none was named.
StoredBackup choose_backup(const std::vector<StoredBackup>& backups,
                           const std::optional<access::NodeId>& node);

// Durable when it returns; then all but the newest kBackupsKept of this appliance are removed.
void put_backup(images::StorePlace& place, const access::NodeId& node, uint64_t made_ms,
                base::ByteView bytes);

// The key for backups in this store: none if it is not encrypted. Throws unauthorized, corrupt.
std::optional<base::Key256> store_backup_key(images::StorePlace& place,
                                             const images::KeySource& source);

}  // namespace appliance::backup
