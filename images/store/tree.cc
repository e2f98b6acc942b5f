#include "images/store/tree.h"

#include <bit>

#include "base/check.h"
#include "base/error.h"
#include "images/point.h"

namespace images {

using format::Node;
using format::RecordKind;

TreeShape TreeShape::of(const format::StoreParameters& parameters) {
  TreeShape shape;
  shape.chunk_size = parameters.chunk_size;
  shape.fanout = parameters.fanout;
  shape.fanout_bits = static_cast<uint32_t>(std::countr_zero(parameters.fanout));
  uint32_t index_bits = 46 - static_cast<uint32_t>(std::countr_zero(parameters.chunk_size));
  static_assert(kMaxDiskSize == 1ull << 46);
  shape.height = (index_bits + shape.fanout_bits - 1) / shape.fanout_bits;
  return shape;
}

TreeUpdater::TreeUpdater(const TreeShape& shape, const ChunkHasher& hasher, const ChunkId& old_root,
                         NodeLoader load, NodeStorer store)
    : shape_(shape), hasher_(hasher), load_(std::move(load)), store_(std::move(store)),
      path_(shape.height), open_from_(shape.height - 1) {
  OpenNode& root = path_[open_from_];
  root.old_id = old_root;
  root.node = load_or_zero(old_root, open_from_);
}

Node TreeUpdater::load_or_zero(const ChunkId& id, uint32_t level) const {
  if (!id.is_zero()) {
    auto node = load_(id);
    if (node->level != level) {
      throw base::Error(base::ErrorCode::corrupt, "a tree node is at the wrong level");
    }
    return *node;
  }
  Node node;
  node.level = static_cast<uint8_t>(level);
  node.children.resize(shape_.fanout);
  return node;
}

ChunkId TreeUpdater::close_node(OpenNode& open) {
  if (!open.changed) return open.old_id;
  if (open.node.is_zero()) return ChunkId{};
  base::Bytes bytes = format::encode_node(open.node);
  ChunkId id = hasher_.id_of(bytes);
  if (id != open.old_id) store_(id, std::move(bytes));
  return id;
}

// Closes the open nodes of all levels below `level`, lowest first, each into its parent.
void TreeUpdater::close_below(uint32_t level) {
  for (; open_from_ < level; ++open_from_) {
    OpenNode& open = path_[open_from_];
    OpenNode& parent = path_[open_from_ + 1];
    ChunkId id = close_node(open);
    ChunkId& slot = parent.node.children[open.number % shape_.fanout];
    if (slot != id) {
      slot = id;
      parent.changed = true;
    }
  }
}

// Makes node `number` of `level` the open one there, with nothing open below it.
void TreeUpdater::open_path(uint32_t level, uint64_t number) {
  uint32_t common = shape_.height - 1;
  auto ancestor = [&](uint32_t at) { return number >> (shape_.fanout_bits * (at - level)); };
  // The lowest open level whose node is already the right one.
  for (uint32_t at = std::max(level, open_from_); at < shape_.height; ++at) {
    if (path_[at].number == ancestor(at)) {
      common = at;
      break;
    }
  }
  close_below(common);
  while (open_from_ > level) {
    OpenNode& parent = path_[open_from_];
    --open_from_;
    OpenNode& open = path_[open_from_];
    open.number = ancestor(open_from_);
    open.old_id = parent.node.children[open.number % shape_.fanout];
    open.node = load_or_zero(open.old_id, open_from_);
    open.changed = false;
  }
}

void TreeUpdater::set_child(uint32_t level, uint64_t child, const ChunkId& id) {
  open_path(level, child >> shape_.fanout_bits);
  OpenNode& open = path_[level];
  ChunkId& slot = open.node.children[child % shape_.fanout];
  if (slot == id) return;
  slot = id;
  open.changed = true;
}

void TreeUpdater::set(uint64_t index, uint64_t count, const ChunkId& id) {
  CHECK(index >= next_index_ && (count == 1 || id.is_zero()));
  uint64_t end = index + count;
  CHECK(end <= 1ull << (shape_.fanout_bits * shape_.height));
  next_index_ = end;
  while (index < end) {
    // The largest whole subtree that begins here and fits: zeros never descend into what they
    // cover.
    uint32_t level = 0;
    while (level + 1 < shape_.height) {
      uint64_t span = 1ull << (shape_.fanout_bits * (level + 1));
      if (index % span != 0 || index + span > end) break;
      ++level;
    }
    set_child(level, index >> (shape_.fanout_bits * level), id);
    index += 1ull << (shape_.fanout_bits * level);
  }
}

ChunkId TreeUpdater::finish() {
  close_below(shape_.height - 1);
  return close_node(path_[shape_.height - 1]);
}

namespace {

class ReferenceWalk {
 public:
  ReferenceWalk(const TreeShape& shape, const NodeLoader& load, const ReferenceChange& change,
                const std::function<void(const ChunkId&)>& lost)
      : shape_(shape), load_(load), change_(change), lost_(lost) {}

  // `level` is the level of the nodes these ids name; -1: they name chunks.
  void visit(int level, const ChunkId& before, const ChunkId& point, const ChunkId& after) {
    if (point == before || point == after) return;
    RecordKind kind = level < 0 ? RecordKind::chunk : RecordKind::node;
    std::shared_ptr<const Node> nodes[3];
    if (level >= 0) {
      // All three first: nothing is known below a node that cannot be read, so nothing is counted
      // there.
      const ChunkId* ids[3] = {&before, &point, &after};
      for (int i = 0; i < 3; ++i) {
        if (!load(*ids[i], level, nodes[i])) return;
      }
    }
    if (!point.is_zero()) change_(point, kind);
    if (before == after && !before.is_zero()) change_(before, kind);
    if (level < 0) return;
    static const ChunkId kZero{};
    for (uint32_t child = 0; child < shape_.fanout; ++child) {
      auto id = [&](int i) -> const ChunkId& {
        return nodes[i] ? nodes[i]->children[child] : kZero;
      };
      visit(level - 1, id(0), id(1), id(2));
    }
  }

 private:
  bool load(const ChunkId& id, int level, std::shared_ptr<const Node>& node) {
    if (id.is_zero()) return true;
    try {
      node = load_(id);
      if (node->level == level) return true;
    } catch (const base::Error& error) {
      if (error.code() != base::ErrorCode::corrupt) throw;
    }
    lost_(id);
    return false;
  }

  const TreeShape& shape_;
  const NodeLoader& load_;
  const ReferenceChange& change_;
  const std::function<void(const ChunkId&)>& lost_;
};

}  // namespace

void walk_reference_changes(const TreeShape& shape, const ChunkId& before, const ChunkId& point,
                            const ChunkId& after, const NodeLoader& load,
                            const ReferenceChange& change,
                            const std::function<void(const ChunkId&)>& lost) {
  ReferenceWalk walk(shape, load, change, lost);
  walk.visit(static_cast<int>(shape.height) - 1, before, point, after);
}

}  // namespace images
