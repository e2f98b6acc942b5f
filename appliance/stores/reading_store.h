// A tenant's store that cannot be written now (its disk is mounted read-only, or another process
// writes to it): points can be read, and every change is refused with the reason. Thread-safe.
#pragma once

#include <memory>

#include "base/error.h"
#include "images/store/store_writer.h"

namespace appliance::stores {

// Every write throws `refusal`. Throws as StoreReader::open.
std::shared_ptr<images::StoreWriter> open_for_reading(base::FileSystem& files,
                                                      const std::string& directory,
                                                      const images::KeySource& key,
                                                      const base::Error& refusal);

}  // namespace appliance::stores
