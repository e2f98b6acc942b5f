// The parts of Btrfs's layout that reading needs. Source: the kernel's include/uapi/linux/
// btrfs_tree.h, and Documentation/filesystems/btrfs.rst with what it refers to. Hostile input;
// values and pure functions.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace images::files::btrfs {

struct Key {
  uint64_t object = 0;
  uint8_t type = 0;
  uint64_t offset = 0;
  auto operator<=>(const Key&) const = default;
};
constexpr size_t kKeySize = 17, kHeaderSize = 101, kItemSize = 25, kPointerSize = 33;
constexpr uint8_t kInodeItem = 1, kXattrItem = 24, kDirIndex = 96, kExtentData = 108,
                  kRootItem = 132, kRootRef = 156, kChunkItem = 228;
constexpr uint64_t kRootTree = 1, kTopVolume = 5, kFirstFree = 256;
Key key_at(base::ByteView bytes, uint64_t at);

struct Superblock {
  std::string file_system_id, device_id;  // 16 bytes each
  uint64_t root = 0, chunk_root = 0, log_root = 0, size = 0, device = 0, device_count = 0;
  uint8_t root_level = 0, chunk_root_level = 0;
  uint32_t node_size = 0, sector_size = 0;
  uint16_t checksum_kind = 0;
  std::string label, uuid;
  base::Bytes chunks;  // those needed to read the others
};
// Nothing if it is none. Throws corrupt or unsupported.
std::optional<Superblock> parse_superblock(base::ByteView bytes);
constexpr uint64_t kSuperblockPlace = 64 << 10, kSuperblockSize = 4096;

// Where a range of addresses is on the devices.
struct Stripe {
  uint64_t device = 0, offset = 0;
};
struct Chunk {
  uint64_t begin = 0, length = 0, stripe_length = 0, kind = 0;
  uint16_t sub_stripes = 1;
  std::vector<Stripe> stripes;
};
// `at` is moved behind it. Throws corrupt.
Chunk parse_chunk(base::ByteView bytes, uint64_t& at, uint64_t begin);

// One of the places of an address, and how many bytes follow there.
struct Place {
  Stripe stripe;
  uint64_t length = 0;
};
// Copy `number`, from 0; nothing if there are not so many.
std::optional<Place> place_in(const Chunk& chunk, uint64_t address, size_t number);

uint32_t crc32c(base::ByteView bytes);

}  // namespace images::files::btrfs
