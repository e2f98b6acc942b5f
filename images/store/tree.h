// The Merkle tree of a disk. Every tree of a store has the same fixed height, so that a place
// (level and number) means the same range of the disk in every point, whatever the disk's size;
// missing parts are the zero id and cost nothing.
//
//   level 0 node n: the ids of chunks n·F … n·F+F-1         (F = fan-out)
//   level k node n: the ids of level k-1 nodes n·F … n·F+F-1
//   the root is node 0 of level height-1
//
// Chunks of 64 KiB and F = 64 give five levels and reach 64 TiB exactly.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "images/chunk_hasher.h"
#include "images/format/store_format.h"
#include "images/ids.h"

namespace images {

struct TreeShape {
  uint32_t chunk_size = 0;  // bytes
  uint32_t fanout = 0;
  uint32_t fanout_bits = 0;
  uint32_t height = 0;  // levels

  static TreeShape of(const format::StoreParameters& parameters);
  uint64_t chunk_count(uint64_t disk_size) const {
    return (disk_size + chunk_size - 1) / chunk_size;
  }
};

// Reads a node by its id (never the zero id). Throws corrupt if it is damaged or missing.
using NodeLoader = std::function<std::shared_ptr<const format::Node>(const ChunkId&)>;

// Builds a new tree from an old one, front to back, holding one node per level. One thread.
class TreeUpdater {
 public:
  // Receives a node of the new tree that the old one did not have at this place.
  using NodeStorer = std::function<void(const ChunkId&, base::Bytes)>;

  TreeUpdater(const TreeShape& shape, const ChunkHasher& hasher, const ChunkId& old_root,
              NodeLoader load, NodeStorer store);

  bool accepts(uint64_t index) const { return index >= next_index_; }

  // Sets `count` chunks from `index` to one id (count > 1: to zeros). Places must ascend from call
  // to call.
  void set(uint64_t index, uint64_t count, const ChunkId& id);

  // Stores the nodes that are still open and returns the new root. Call it once, last.
  ChunkId finish();

 private:
  struct OpenNode {
    uint64_t number = 0;
    format::Node node;
    ChunkId old_id;
    bool changed = false;
  };

  void open_path(uint32_t level, uint64_t number);
  void close_below(uint32_t level);
  void set_child(uint32_t level, uint64_t child, const ChunkId& id);
  format::Node load_or_zero(const ChunkId& id, uint32_t level) const;
  ChunkId close_node(OpenNode& open);

  TreeShape shape_;
  const ChunkHasher& hasher_;
  NodeLoader load_;
  NodeStorer store_;
  // path_[l] is the open node of level l for l >= open_from_; lower levels are closed.
  std::vector<OpenNode> path_;
  uint32_t open_from_;
  uint64_t next_index_ = 0;
};

// How one tree's references change when point P is added to or removed from the timeline between A
// (before) and B (after). The rule, at every place (nodes and chunks alike): there is one reference
// for each run of consecutive points with the same id. So where P differs from both A and B, P's id
// has a run of its own, and if A and B are equal there, P splits one run of theirs in two. Where P
// equals A or B nothing changes, and neither does anything below.
//
// For example, if A, P, B have ids x, y, x at a place, adding P adds one reference to y and one to
// x. With x, x, y or x, y, y nothing changes.
//
// Calls `change(id, kind)` for each reference that adding P adds, which are those that removing P
// subtracts, in an order that depends only on the three roots. Zero roots stand for a missing
// neighbour. If a node cannot be loaded, `lost(id)` is called and everything below it is skipped.
using ReferenceChange = std::function<void(const ChunkId&, format::RecordKind)>;
void walk_reference_changes(const TreeShape& shape, const ChunkId& before, const ChunkId& point,
                            const ChunkId& after, const NodeLoader& load,
                            const ReferenceChange& change,
                            const std::function<void(const ChunkId&)>& lost);

}  // namespace images
