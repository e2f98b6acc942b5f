#include "images/store/point_disk_reader.h"

#include <algorithm>

#include "base/check.h"
#include "base/error.h"

namespace images {

using base::Error;
using base::ErrorCode;

std::shared_ptr<const format::Node> PointDiskReader::leaf(uint64_t number) {
  if (auto cached = leaves_.find(number)) return cached;
  const TreeShape& shape = store_->shape;
  ChunkId id = disk_.root;
  std::shared_ptr<const format::Node> node;
  for (uint32_t level = shape.height; level-- > 0;) {
    if (id.is_zero()) return nullptr;
    node = store_->load_node(id);
    if (node->level != level) throw Error(ErrorCode::corrupt, "a tree node is at the wrong level");
    if (level > 0)
      id = node->children[(number >> (shape.fanout_bits * (level - 1))) % shape.fanout];
  }
  leaves_.put(number, node);
  return node;
}

void PointDiskReader::read(uint64_t offset, base::MutableByteView out) {
  lease_->require_held();
  if (disk_cache_ && disk_cache_->read(offset, out)) return;
  const uint64_t chunk_size = store_->shape.chunk_size;
  try {
    while (!out.empty()) {
      uint64_t chunk = offset / chunk_size, from = offset % chunk_size;
      size_t count = std::min<uint64_t>(out.size(), chunk_size - from);
      read_chunk(chunk, from, out.first(count));
      out = out.subspan(count);
      offset += count;
    }
  } catch (const Error& error) {
    throw error.with_context("disk '" + disk_.name + "' at " + std::to_string(offset));
  }
}

void PointDiskReader::read_chunk(uint64_t chunk, uint64_t from, base::MutableByteView out) {
  if (std::optional<ChunkId> id = find_id(chunk)) return fetch_chunk(chunk, *id, from, out);
  std::fill(out.begin(), out.end(), uint8_t{0});
}

std::optional<ChunkId> PointDiskReader::find_id(uint64_t chunk) {
  auto node = leaf(chunk >> store_->shape.fanout_bits);
  if (node == nullptr || node->children[chunk % store_->shape.fanout].is_zero())
    return std::nullopt;
  return node->children[chunk % store_->shape.fanout];
}

void PointDiskReader::prefetch(uint64_t offset) {
  const uint64_t chunk = offset / store_->shape.chunk_size;
  std::optional<ChunkId> id = find_id(chunk);
  if (!id) return;
  SingleFlight<uint64_t>::Turn turn = decoding_.enter(chunk);
  uint8_t byte = 0;
  if (disk_cache_ ? disk_cache_->read(chunk * store_->shape.chunk_size, {&byte, 1})
                  : chunks_->find(*id) != nullptr)
    return;
  auto plain = std::make_shared<base::Bytes>(store_->shape.chunk_size);
  store_->records().read_chunk(*id, *plain);
  if (disk_cache_) disk_cache_->put(chunk, *plain);
  else chunks_->put(*id, std::move(plain));
}

void PointDiskReader::fetch_chunk(uint64_t chunk, const ChunkId& id, uint64_t from,
                                  base::MutableByteView out) {
  auto from_cache = [&] {
    if (disk_cache_) return disk_cache_->read(chunk * store_->shape.chunk_size + from, out);
    auto cached = chunks_->find(id);
    if (cached)
      std::copy_n(cached->begin() + static_cast<ptrdiff_t>(from), out.size(), out.begin());
    return cached != nullptr;
  };
  if (!disk_cache_ && from_cache()) return;
  SingleFlight<uint64_t>::Turn turn = decoding_.enter(chunk);
  if (from_cache()) return;
  if (from == 0 && out.size() == store_->shape.chunk_size) {
    store_->records().read_chunk(id, out);
    // A client that reads whole chunks reads sequentially: a copy in memory would only displace
    // what is read again.
    if (disk_cache_) disk_cache_->put(chunk, out);
    return;
  }
  auto plain = std::make_shared<base::Bytes>(store_->shape.chunk_size);
  store_->records().read_chunk(id, *plain);
  std::copy_n(plain->begin() + static_cast<ptrdiff_t>(from), out.size(), out.begin());
  if (disk_cache_) disk_cache_->put(chunk, *plain);
  else chunks_->put(id, std::move(plain));
}

std::vector<ChunkId> PointDiskReader::chunk_ids(uint64_t first_chunk, uint64_t count) {
  lease_->require_held();
  const TreeShape& shape = store_->shape;
  const uint64_t chunk_count = (disk_.size + shape.chunk_size - 1) / shape.chunk_size;
  CHECK(first_chunk <= chunk_count && count <= chunk_count - first_chunk);
  std::vector<ChunkId> ids;
  ids.reserve(count);
  for (uint64_t chunk = first_chunk, end = first_chunk + count; chunk < end;) {
    auto node = leaf(chunk >> shape.fanout_bits);
    for (uint64_t child = chunk % shape.fanout; child < shape.fanout && chunk < end;
         ++child, ++chunk)
      ids.push_back(node ? node->children[child] : ChunkId{});
  }
  return ids;
}

DiskChanges PointDiskReader::changes_since(const PointDisk& base, uint64_t first,
                                           size_t max_count) {
  lease_->require_held();
  CHECK(base.size == disk_.size && max_count > 0);
  DiskChanges changes;
  changes.next = first;
  if (append_changes(base.root, disk_.root, store_->shape.height - 1, 0, max_count, changes))
    changes.next = store_->shape.chunk_count(disk_.size);
  return changes;
}

bool PointDiskReader::append_changes(const ChunkId& before, const ChunkId& now, uint32_t level,
                                     uint64_t number, size_t max_count, DiskChanges& changes) {
  if (before == now) return true;
  const TreeShape& shape = store_->shape;
  auto node_of = [&](const ChunkId& id) -> std::shared_ptr<const format::Node> {
    if (id.is_zero()) return nullptr;
    auto node = store_->load_node(id);
    if (node->level != level) throw Error(ErrorCode::corrupt, "a tree node is at the wrong level");
    return node;
  };
  auto old_node = node_of(before), new_node = node_of(now);
  const uint32_t child_bits = shape.fanout_bits * level;  // chunks below one child
  const uint64_t end = shape.chunk_count(disk_.size);
  for (uint64_t i = 0; i < shape.fanout; ++i) {
    uint64_t child = number * shape.fanout + i;
    uint64_t from = child << child_bits, to = (child + 1) << child_bits;
    if (from >= end) break;
    if (to <= changes.next) continue;
    ChunkId old_id = old_node ? old_node->children[i] : ChunkId{};
    ChunkId new_id = new_node ? new_node->children[i] : ChunkId{};
    if (level > 0) {
      if (!append_changes(old_id, new_id, level - 1, child, max_count, changes)) return false;
    } else if (old_id != new_id) {
      if (changes.chunks.size() == max_count) return false;
      changes.chunks.push_back(child);
      changes.next = child + 1;
    }
  }
  return true;
}

EncodedChunk PointDiskReader::encoded_chunk(uint64_t number, base::Bytes& buffer) {
  lease_->require_held();
  std::optional<ChunkId> id = find_id(number);
  if (!id) return {};
  try {
    return store_->records().read_encoded(*id, buffer);
  } catch (const Error& error) {
    throw error.with_context("disk '" + disk_.name + "' at " +
                             std::to_string(number * store_->shape.chunk_size));
  }
}

std::vector<Extent> PointDiskReader::extents(uint64_t offset, uint64_t length) {
  const uint64_t chunk_size = store_->shape.chunk_size;
  std::vector<Extent> extents;
  uint64_t first = offset / chunk_size, last = (offset + length + chunk_size - 1) / chunk_size;
  append_extents(disk_.root, store_->shape.height - 1, 0, first, last, extents);
  // Trim whole chunks to the requested range.
  std::vector<Extent> cut;
  for (Extent extent : extents) {
    uint64_t end = std::min(extent.offset + extent.length, offset + length);
    uint64_t start = std::max(extent.offset, offset);
    if (start < end) cut.push_back({start, end - start, extent.kind});
  }
  return cut;
}

// The chunks [first, last) as far as they are below node `number` of `level`.
void PointDiskReader::append_extents(const ChunkId& id, uint32_t level, uint64_t number,
                                     uint64_t first, uint64_t last, std::vector<Extent>& extents) {
  const TreeShape& shape = store_->shape;
  uint32_t child_bits = shape.fanout_bits * level;  // chunks below one child, as a power of two
  uint64_t start = std::max(first, number << (child_bits + shape.fanout_bits));
  uint64_t end = std::min(last, (number + 1) << (child_bits + shape.fanout_bits));
  if (start >= end) return;
  if (id.is_zero()) return append_extent(start, end, ExtentKind::zero, extents);
  auto node = store_->load_node(id);
  if (node->level != level) throw Error(ErrorCode::corrupt, "a tree node is at the wrong level");
  for (uint64_t child = start >> child_bits; child <= (end - 1) >> child_bits; ++child) {
    const ChunkId& child_id = node->children[child % shape.fanout];
    if (level > 0) {
      append_extents(child_id, level - 1, child, start, end, extents);
    } else {
      append_extent(child, child + 1, child_id.is_zero() ? ExtentKind::zero : ExtentKind::data,
                    extents);
    }
  }
}

void PointDiskReader::append_extent(uint64_t first, uint64_t last, ExtentKind kind,
                                    std::vector<Extent>& extents) {
  const uint64_t chunk_size = store_->shape.chunk_size;
  if (!extents.empty() && extents.back().kind == kind) {
    extents.back().length += (last - first) * chunk_size;
    return;
  }
  extents.push_back({first * chunk_size, (last - first) * chunk_size, kind});
}

}  // namespace images
