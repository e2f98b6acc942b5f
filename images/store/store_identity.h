// Which store a place contains, determined without opening the store: for code that has to know
// that it is the right one before anything is written. Changes nothing. Functions; thread-safe.
#pragma once

#include <string>

#include "base/file_system.h"
#include "images/ids.h"
#include "images/store/place/store_place.h"

namespace images {

struct StoreIdentity {
  StoreId id;
  bool encrypted = false;
  bool has_points = false;  // any manifest at all, good or damaged
};

// Throws not_found (no store there), corrupt, unsupported (a newer format), io.
StoreIdentity identify_store(StorePlace& place);
StoreIdentity identify_store(base::FileSystem& files, const std::string& directory);

}  // namespace images
