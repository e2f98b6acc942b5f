// A tenant's store that cannot be written now (its disk is mounted read-only, or another process
// writes to it): whoever needs a point gets it, whoever would change something is refused with the
// reason. Thread-safe.
#pragma once

#include <memory>

#include "base/error.h"
#include "images/store_writer.h"

namespace appliance::stores {

// `refusal` is thrown by all that writes. Throws as StoreReader::open.
std::shared_ptr<images::StoreWriter> open_for_reading(base::FileSystem& files,
                                                      const std::string& directory,
                                                      const images::KeySource& key,
                                                      const base::Error& refusal);

}  // namespace appliance::stores
