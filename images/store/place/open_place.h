// The place that a reference to a store means. Function; thread-safe.
#pragma once

#include <memory>

#include "images/store/place/store_place.h"
#include "images/store_reference.h"

namespace images {

// A directory of this machine; does no I/O. Throws unsupported for an address such as s3://…,
// which no place of this version has.
std::unique_ptr<StorePlace> open_place(const StoreReference& store);
std::unique_ptr<StorePlace> open_place(const std::string& location);

}  // namespace images
