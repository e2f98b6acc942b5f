// What an index says, as values that can be compared. Functions; one thread.
#pragma once

#include <map>
#include <string>

#include "images/store/index/chunk_index.h"

namespace images {

// Everything that a rebuild must bring out alike: references, points, live bytes. (Numbers of
// packs, epochs and what no point refers to may differ.)
struct IndexContents {
  std::map<ChunkId, uint64_t> references;
  std::map<PointId, uint64_t> points;
  uint64_t live_size = 0;
  bool operator==(const IndexContents&) const = default;
};

IndexContents index_contents(const std::string& index_directory, const StoreId& store);

}  // namespace images
