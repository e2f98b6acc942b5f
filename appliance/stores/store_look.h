// Examines the folder of a tenant's store before it is opened; creates, locks and changes nothing.
// Functions; thread-safe.
#pragma once

#include <optional>
#include <string>

#include "appliance/stores/store_standing.h"
#include "base/error.h"
#include "base/file_system.h"
#include "images/store/store_identity.h"

namespace appliance::stores {

// What is wrong with a store. The code is always unavailable.
struct StoreTrouble {
  StoreState state;
  base::Error error;
};

struct StoreSeen {
  std::optional<images::StoreIdentity> identity;
  // The most specific reason; read_only comes with an identity.
  std::optional<StoreTrouble> trouble;
  bool folder_is_vacant = false;  // the folder does not exist, or is empty
};

// `expected`: the id that the catalog knows; nullopt: any. `key_path`: where the key of an
// encrypted store must be.
StoreSeen look_at_store(base::FileSystem& files, const std::string& directory,
                        const std::optional<images::StoreId>& expected,
                        const std::string& key_path);

// Nothing, or read_only.
std::optional<StoreTrouble> look_whether_writable(const std::string& directory);

// The trouble of a store that passed look_at_store() but failed to open.
StoreTrouble trouble_of_opening(const std::string& directory, const base::Error& error);

}  // namespace appliance::stores
