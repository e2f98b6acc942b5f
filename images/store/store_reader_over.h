// A StoreReader over a store that this process already has open.
#pragma once

#include <memory>

#include "images/store/store_context.h"
#include "images/store/store_reader.h"

namespace images {

std::unique_ptr<StoreReader> reader_over(std::shared_ptr<StoreContext> store,
                                         const ReadOptions& options);

}  // namespace images
