#include "appliance/verify/check_cost.h"

#include <unistd.h>

#include <algorithm>

namespace appliance::verify {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kBase = 192 * kMiB;        // of a program that checks a small file system
constexpr uint64_t kCountLimit = 1ull << 50;  // what no file system has more of
constexpr milliseconds kLeastTime = minutes(10), kMostTime = minutes(120);
constexpr uint64_t kMostMemory = 8ull << 30;

uint64_t big(base::ByteView bytes, size_t at, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) value = value << 8 | bytes[at + i];
  return std::min(value, kCountLimit);
}
uint64_t little(base::ByteView bytes, size_t at, size_t size) {
  uint64_t value = 0;
  for (size_t i = size; i > 0; --i) value = value << 8 | bytes[at + i - 1];
  return std::min(value, kCountLimit);
}

milliseconds time_for(uint64_t item_count, uint64_t per_second) {
  uint64_t ms = item_count / per_second * 1000;
  auto limit = static_cast<uint64_t>(kMostTime.count());
  return std::clamp(milliseconds(std::min(ms, limit)), kLeastTime, kMostTime);
}

// Bitmaps of all blocks and inodes, several of each, and what is kept of each inode in use.
CheckCost cost_of_ext(base::ByteView block) {
  base::ByteView super = block.subspan(1024);
  uint64_t inodes = little(super, 0, 4), blocks = little(super, 4, 4),
           free_inodes = little(super, 16, 4);
  constexpr uint32_t k64Bit = 0x80;
  if ((little(super, 0x60, 4) & k64Bit) != 0) blocks |= little(super, 0x150, 4) << 32;
  blocks = std::min(blocks, kCountLimit);
  uint64_t used = inodes - std::min(inodes, free_inodes);
  return {kBase + blocks / 4 + inodes / 2 + used * 32, time_for(used + blocks / 256, 2000)};
}

// As xfs_repair computes it (half a byte a block, four bytes an inode), and as much again.
CheckCost cost_of_xfs(base::ByteView block) {
  uint64_t blocks = big(block, 8, 8), inodes = big(block, 128, 8);
  return {kBase + blocks + inodes * 8, time_for(inodes + blocks / 256, 2000)};
}

// It keeps the extents of everything that is in use.
CheckCost cost_of_btrfs(base::ByteView block) {
  uint64_t used = little(block, 120, 8);
  return {kBase + 256 * kMiB + used / 1024, time_for(used / (64 << 10), 2000)};
}

// The table twice, and who owns each cluster.
CheckCost cost_of_fat(base::ByteView block) {
  uint64_t sectors = little(block, 19, 2), in_cluster = std::max<uint64_t>(block[13], 1);
  if (sectors == 0) sectors = little(block, 32, 4);
  uint64_t clusters = sectors / in_cluster;
  return {kBase + clusters * 20, time_for(clusters / 64, 2000)};
}

}  // namespace

uint64_t sizes_block_of(std::string_view type) { return type == "btrfs" ? 16 : 0; }

CheckCost cost_of(std::string_view type, base::ByteView block) {
  CheckCost usual{kBase, kLeastTime};
  if (block.size() < kSizesBlock) return usual;
  if (type.starts_with("ext")) return cost_of_ext(block);
  if (type == "xfs") return cost_of_xfs(block);
  if (type == "btrfs") return cost_of_btrfs(block);
  if (type == "vfat") return cost_of_fat(block);
  return usual;
}

uint64_t most_check_memory() {
  long pages = ::sysconf(_SC_PHYS_PAGES), page_size = ::sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page_size <= 0) return 1ull << 30;
  return std::min(static_cast<uint64_t>(pages) * static_cast<uint64_t>(page_size) / 2, kMostMemory);
}

}  // namespace appliance::verify
