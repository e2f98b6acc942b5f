// Where chunks are on the disks of the machines' newest points: the order in which compaction
// writes what it moves, so that the newest point, the one that is booted, is read sequentially. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <limits>
#include <stop_token>
#include <unordered_map>

#include "images/store/store_context.h"

namespace images {

class DiskOrder {
 public:
  static constexpr uint64_t kNowhere = std::numeric_limits<uint64_t>::max();
  // An order is only an optimisation: beyond these limits (40 MiB of memory; the nodes of 1 TiB of
  // data with chunks of 64 KiB, 0.5 GiB to read) the rest keeps the order of its packs.
  static constexpr size_t kMaxChunks = 500'000;
  static constexpr uint64_t kMaxNodes = 250'000;

  explicit DiskOrder(StoreContext& store) : store_(store) {}

  // A chunk whose place will be queried. `group` is the caller's number for the pack that contains
  // it.
  void want(const ChunkId& id, size_t group);

  // Walks the newest point of each machine. A tree that cannot be read is skipped.
  void find_places(const std::stop_token& stop);

  // Places increase along each disk, disk after disk; kNowhere for what is in no newest point.
  uint64_t place_of(const ChunkId& id) const;

  // The lowest place among a group's chunks.
  uint64_t first_place(size_t group) const;

 private:
  struct Wanted {
    uint64_t place = kNowhere;
    size_t group = 0;
  };

  void walk(const ChunkId& id, uint32_t level, const std::stop_token& stop);

  StoreContext& store_;
  std::unordered_map<ChunkId, Wanted> wanted_;
  std::unordered_map<size_t, uint64_t> first_places_;
  uint64_t next_place_ = 0;
  uint64_t nodes_read_ = 0;
};

}  // namespace images
