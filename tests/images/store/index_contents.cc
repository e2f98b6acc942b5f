#include "tests/images/store/index_contents.h"

namespace images {

IndexContents index_contents(const std::string& index_directory, const StoreId& store) {
  auto index = ChunkIndex::open(index_directory, store, false);
  auto transaction = index->read();
  IndexContents contents;
  transaction->for_each_chunk([&](const ChunkId& id, const ChunkEntry& entry) {
    if (entry.references != 0) contents.references[id] = entry.references;
  });
  transaction->for_each_point(
      [&](const auto& point) { contents.points[point.id] = point.dates.order; });
  transaction->for_each_pack(
      [&](uint32_t, const PackEntry& row) { contents.live_size += row.live_size; });
  return contents;
}

}  // namespace images
