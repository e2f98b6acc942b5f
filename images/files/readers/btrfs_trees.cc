#include "images/files/readers/btrfs_trees.h"

#include <algorithm>

#include "base/error.h"
#include "images/files/readers/values_at.h"

namespace images::files::btrfs {
namespace {

using base::Bytes;
using base::ByteView;
using base::Error;
using base::ErrorCode;

constexpr size_t kCached = 128;  // nodes: 2 MiB with the usual size
constexpr size_t kMaxChunks = 200'000;
constexpr size_t kMaxCopies = 4;
constexpr size_t kMaxKnown = 10'000;  // trees

[[noreturn]] void damaged(const char* what) { throw Error(ErrorCode::corrupt, what); }

}  // namespace

Trees::Trees(Superblock super, std::map<uint64_t, DiskSource*> devices)
    : super_(std::move(super)), devices_(std::move(devices)) {
  for (uint64_t at = 0; at + kKeySize < super_.chunks.size();) {
    Key key = key_at(super_.chunks, at);
    at += kKeySize;
    if (key.type != kChunkItem) damaged("the superblock of Btrfs is damaged");
    chunks_[key.offset] = parse_chunk(super_.chunks, at, key.offset);
  }
  add_chunks();
}

void Trees::add_chunks() {
  std::map<uint64_t, Chunk> all = chunks_;
  each({super_.chunk_root, super_.chunk_root_level}, {kFirstFree, kChunkItem, 0},
       [&](const Key& key, ByteView data) {
         if (key.object != kFirstFree || key.type != kChunkItem) return false;
         uint64_t at = 0;
         all[key.offset] = parse_chunk(data, at, key.offset);
         if (all.size() > kMaxChunks) damaged("Btrfs has too many chunks");
         return true;
       });
  chunks_ = std::move(all);
}

const Chunk& Trees::chunk_of(uint64_t address) const {
  auto after = chunks_.upper_bound(address);
  if (after == chunks_.begin()) damaged("an address of Btrfs is in no chunk");
  const Chunk& chunk = std::prev(after)->second;
  if (address - chunk.begin >= chunk.length) damaged("an address of Btrfs is in no chunk");
  return chunk;
}

// False if there is no copy of this number. Throws if it cannot be read.
bool Trees::read_copy(uint64_t address, size_t number, base::MutableByteView out) {
  while (!out.empty()) {
    std::optional<Place> place = place_in(chunk_of(address), address, number);
    if (!place) return false;
    auto device = devices_.find(place->stripe.device);
    if (device == devices_.end())
      throw Error(ErrorCode::io, "a device of the Btrfs is missing in the point");
    size_t size = static_cast<size_t>(std::min<uint64_t>(out.size(), place->length));
    DiskSource& disk = *device->second;
    if (size == 0 || place->stripe.offset > disk.size() ||
        size > disk.size() - place->stripe.offset)
      damaged("an address of Btrfs lies beyond its device");
    disk.read(place->stripe.offset, out.first(size));
    address += size;
    out = out.subspan(size);
  }
  return true;
}

void Trees::read(uint64_t address, base::MutableByteView out) {
  std::exception_ptr first;
  for (size_t number = 0; number < kMaxCopies; ++number) {
    try {
      if (read_copy(address, number, out)) return;
      break;
    } catch (const Error&) {
      if (!first) first = std::current_exception();
    }
  }
  if (first) std::rethrow_exception(first);
  damaged("an address of Btrfs cannot be read");
}

Trees::Node Trees::node(uint64_t address, uint8_t level) {
  for (auto each = cache_.begin(); each != cache_.end(); ++each) {
    if (each->first != address) continue;
    cache_.splice(cache_.begin(), cache_, each);
    if ((*each->second)[100] != level) damaged("a node of Btrfs is damaged");
    return each->second;
  }
  auto bytes = std::make_shared<Bytes>(super_.node_size);
  std::exception_ptr trouble;
  for (size_t number = 0; number < kMaxCopies; ++number) {
    try {
      if (!read_copy(address, number, *bytes)) break;
      constexpr uint16_t kCrc32c = 0;
      bool is_whole = little64(*bytes, 48) == address && (*bytes)[100] == level &&
                      base::as_text(*bytes).substr(32, 16) == super_.file_system_id;
      // With a metadata id of its own, the nodes have another one.
      is_whole = is_whole || (little64(*bytes, 48) == address && (*bytes)[100] == level);
      if (is_whole && super_.checksum_kind == kCrc32c)
        is_whole = little32(*bytes, 0) == crc32c(ByteView(*bytes).subspan(32));
      if (!is_whole) damaged("a node of Btrfs is damaged");
      cache_.emplace_front(address, bytes);
      if (cache_.size() > kCached) cache_.pop_back();
      return bytes;
    } catch (const Error&) {
      if (!trouble) trouble = std::current_exception();
    }
  }
  if (trouble) std::rethrow_exception(trouble);
  damaged("a node of Btrfs cannot be read");
}

void Trees::each(const Root& root, const Key& first,
                 const std::function<bool(const Key&, ByteView)>& call) {
  visit(root.address, root.level, first, call);
}

// False: enough. Depth is bounded, since each node must have the level that its parent says.
bool Trees::visit(uint64_t address, uint8_t level, const Key& first,
                  const std::function<bool(const Key&, ByteView)>& call) {
  Node held = node(address, level);
  ByteView bytes = *held;
  uint64_t count = little32(bytes, 96);
  size_t size = level == 0 ? kItemSize : kPointerSize;
  if (count > (bytes.size() - kHeaderSize) / size) damaged("a node of Btrfs is damaged");
  // The first entry that is not before `first`.
  uint64_t low = 0, high = count;
  while (low < high) {
    uint64_t middle = (low + high) / 2;
    if (key_at(bytes, kHeaderSize + middle * size) < first) low = middle + 1;
    else high = middle;
  }
  if (level == 0) {
    for (uint64_t i = low; i < count; ++i) {
      uint64_t at = kHeaderSize + i * size;
      uint64_t offset = little32(bytes, at + kKeySize), length = little32(bytes, at + kKeySize + 4);
      if (!call(key_at(bytes, at), part_of(bytes, kHeaderSize + offset, length))) return false;
    }
    return true;
  }
  // What begins before may reach into it.
  bool is_exact = low < count && key_at(bytes, kHeaderSize + low * size) == first;
  if (low > 0 && !is_exact) --low;
  for (uint64_t i = low; i < count; ++i) {
    uint64_t below = little64(bytes, kHeaderSize + i * size + kKeySize);
    if (!visit(below, static_cast<uint8_t>(level - 1), first, call)) return false;
  }
  return true;
}

Trees::Root Trees::find_tree(uint64_t number) {
  auto known = known_.find(number);
  if (known != known_.end()) return known->second;
  std::optional<Root> found;
  each(root_tree(), {number, kRootItem, 0}, [&](const Key& key, ByteView data) {
    if (key.object != number || key.type != kRootItem) return false;
    Root root{little64(data, 176), u8_at(data, 238)};
    if (root.level > 7) damaged("a tree of Btrfs is damaged");
    found = root;  // the last one counts
    return true;
  });
  if (!found) damaged("a subvolume of Btrfs is missing");
  if (known_.size() < kMaxKnown) known_[number] = *found;
  return *found;
}

}  // namespace images::files::btrfs
