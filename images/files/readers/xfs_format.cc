#include "images/files/readers/xfs_format.h"

#include <fmt/format.h>

#include <cstring>

#include "base/clean_text.h"
#include "base/error.h"
#include "images/files/readers/text_values.h"
#include "images/files/readers/values_at.h"

namespace images::files::xfs {
namespace {

using base::ByteView;
using base::Error;
using base::ErrorCode;

constexpr uint32_t kKnownFeatures = 0xff;  // incompat, up to parent pointers
constexpr uint32_t kHasKinds = 1, kNeedsRepair = 16;
constexpr uint64_t kBigTime = 8, kManyExtents = 16;  // of an inode
constexpr size_t kOldCore = 100, kNewCore = 176;     // bytes, of an inode

FileTime time_at(ByteView bytes, size_t at, bool is_big) {
  if (!is_big) {
    return {static_cast<int32_t>(big32(bytes, at)), std::min(big32(bytes, at + 4), 999'999'999u)};
  }
  uint64_t value = big64(bytes, at);
  return {static_cast<int64_t>(value / 1'000'000'000) - (int64_t{1} << 31),
          static_cast<uint32_t>(value % 1'000'000'000)};
}

Fork fork_of(uint8_t kind) { return kind < 4 ? static_cast<Fork>(kind) : Fork::other; }

base::Bytes copy(ByteView bytes) { return base::Bytes(bytes.begin(), bytes.end()); }

}  // namespace

std::optional<uint64_t> Superblock::place_of_block(uint64_t block) const {
  uint64_t group = block >> group_log, within = block & ((uint64_t{1} << group_log) - 1);
  if (group >= group_count || within >= group_blocks) return std::nullopt;
  uint64_t number = group * group_blocks + within;
  if (number >= block_count) return std::nullopt;
  return number << block_log;
}

std::optional<uint64_t> Superblock::place_of_inode(uint64_t number) const {
  std::optional<uint64_t> block = place_of_block(number >> inodes_log);
  if (!block) return std::nullopt;
  return *block + (number & (inodes_per_block - 1)) * inode_size;
}

std::optional<Superblock> parse_superblock(ByteView bytes) {
  if (bytes.size() < 512 || base::as_text(bytes).substr(0, 4) != "XFSB") return std::nullopt;
  Superblock super;
  super.block_size = big32(bytes, 4);
  super.block_count = big64(bytes, 8);
  super.uuid = uuid_text(part_of(bytes, 32, 16));
  super.log_start = big64(bytes, 48);
  super.root = big64(bytes, 56);
  super.group_blocks = big32(bytes, 84);
  super.group_count = big32(bytes, 88);
  super.log_blocks = big32(bytes, 96);
  uint16_t version = big16(bytes, 100);
  super.inode_size = big16(bytes, 104);
  super.inodes_per_block = big16(bytes, 106);
  std::string_view label = base::as_text(part_of(bytes, 108, 12));
  super.label = base::clean_text(label.substr(0, label.find('\0')), 64);
  super.block_log = bytes[120];
  super.inodes_log = bytes[123];
  super.group_log = bytes[124];
  uint8_t folder_log = bytes[192];
  super.is_new = (version & 0xf) == 5;
  uint32_t more = big32(bytes, 200), features = big32(bytes, 216);
  super.has_kinds =
      super.is_new ? (features & kHasKinds) != 0 : (version & 0x8000) != 0 && (more & 0x200) != 0;
  super.needs_repair = super.is_new && (features & kNeedsRepair) != 0;
  if ((version & 0xf) != 4 && !super.is_new)
    throw Error(ErrorCode::unsupported, fmt::format("XFS of version {}", version & 0xf));
  if (super.is_new && (features & ~kKnownFeatures) != 0)
    throw Error(ErrorCode::unsupported,
                fmt::format("XFS with features that are not known here (0x{:x})",
                            features & ~kKnownFeatures));
  bool fits = super.block_log >= 9 && super.block_log <= 16 &&
              super.block_size == 1u << super.block_log && super.inode_size >= 256 &&
              super.inode_size <= 4096 && super.inode_size <= super.block_size &&
              super.inodes_per_block == super.block_size / super.inode_size &&
              super.inodes_per_block == 1u << super.inodes_log && super.group_log <= 31 &&
              super.group_blocks > 0 && super.group_blocks <= 1ull << super.group_log &&
              super.group_count > 0 && folder_log <= 7 && super.block_count <= 1ull << 44;
  if (!fits) throw Error(ErrorCode::corrupt, "the superblock of XFS is damaged");
  super.folder_block_size = super.block_size << folder_log;
  return super;
}

Inode parse_inode(ByteView bytes, const Superblock& super) {
  if (big16(bytes, 0) != 0x494e) throw Error(ErrorCode::corrupt, "an inode is damaged");
  Inode inode;
  uint8_t version = bytes[4];
  size_t core = version >= 3 ? kNewCore : kOldCore;
  uint64_t flags2 = version >= 3 ? big64(bytes, 120) : 0;
  bool is_big = (flags2 & kBigTime) != 0, has_many = (flags2 & kManyExtents) != 0;
  inode.mode = big16(bytes, 2);
  inode.data_kind = fork_of(bytes[5]);
  inode.owner = big32(bytes, 8);
  inode.group = big32(bytes, 12);
  inode.link_count = version == 1 ? big16(bytes, 6) : big32(bytes, 16);
  inode.accessed = time_at(bytes, 32, is_big);
  inode.modified = time_at(bytes, 40, is_big);
  inode.changed = time_at(bytes, 48, is_big);
  if (version >= 3) inode.born = time_at(bytes, 144, is_big);
  inode.size = big64(bytes, 56);
  inode.block_count = big64(bytes, 64);
  inode.data_extents = has_many ? big64(bytes, 24) : big32(bytes, 76);
  inode.attribute_extents = has_many ? big32(bytes, 76) : big16(bytes, 80);
  inode.attribute_kind = fork_of(bytes[83]);
  inode.flags = big16(bytes, 90);
  size_t room = super.inode_size - core, split = bytes[82] * size_t{8};
  if (split > room) throw Error(ErrorCode::corrupt, "an inode is damaged");
  inode.data = copy(part_of(bytes, core, split != 0 ? split : room));
  if (split != 0) inode.attributes = copy(part_of(bytes, core + split, room - split));
  if (inode.size > INT64_MAX) throw Error(ErrorCode::corrupt, "its size is impossible");
  return inode;
}

Extent parse_extent(ByteView bytes, uint64_t at) {
  uint64_t first = big64(bytes, at), second = big64(bytes, at + 8);
  Extent extent;
  extent.is_written = (first >> 63) == 0;
  extent.offset = (first & (~uint64_t{0} >> 1)) >> 9;
  extent.block = (first & 0x1ff) << 43 | second >> 21;
  extent.count = second & 0x1fffff;
  return extent;
}

}  // namespace images::files::xfs
