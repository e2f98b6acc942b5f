#include "images/files/readers/btrfs_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/clean_text.h"
#include "base/error.h"
#include "images/files/readers/text_values.h"
#include "images/files/readers/values_at.h"

namespace images::files::btrfs {
namespace {

using base::ByteView;
using base::Error;
using base::ErrorCode;

// Up to simple quotas, without the second extent tree and the tree of stripes.
constexpr uint64_t kKnownFeatures = 0x11fff;
constexpr uint64_t kRaid0 = 0x8, kRaid1 = 0x10, kDup = 0x20, kRaid10 = 0x40, kRaid5 = 0x80,
                   kRaid6 = 0x100, kRaid1c3 = 0x200, kRaid1c4 = 0x400;
constexpr size_t kMaxStripes = 1024;

}  // namespace

Key key_at(ByteView bytes, uint64_t at) {
  return {little64(bytes, at), u8_at(bytes, at + 8), little64(bytes, at + 9)};
}

std::optional<Superblock> parse_superblock(ByteView bytes) {
  if (bytes.size() < kSuperblockSize || base::as_text(bytes).substr(64, 8) != "_BHRfS_M")
    return std::nullopt;
  Superblock super;
  super.file_system_id = base::as_text(part_of(bytes, 32, 16));
  super.uuid = uuid_text(part_of(bytes, 32, 16));
  super.root = little64(bytes, 80);
  super.chunk_root = little64(bytes, 88);
  super.log_root = little64(bytes, 96);
  super.size = little64(bytes, 112);
  super.device_count = little64(bytes, 136);
  super.sector_size = little32(bytes, 144);
  super.node_size = little32(bytes, 148);
  uint32_t chunk_size = little32(bytes, 160);
  uint64_t features = little64(bytes, 188);
  super.checksum_kind = little16(bytes, 196);
  super.root_level = bytes[198];
  super.chunk_root_level = bytes[199];
  super.device = little64(bytes, 201);
  std::string_view label = base::as_text(part_of(bytes, 299, 256));
  super.label = base::clean_text(label.substr(0, label.find('\0')), 64);
  if ((features & ~kKnownFeatures) != 0)
    throw Error(
        ErrorCode::unsupported,
        fmt::format("Btrfs with features that are not read (0x{:x})", features & ~kKnownFeatures));
  auto is_power = [](uint32_t value) { return value != 0 && (value & (value - 1)) == 0; };
  if (!is_power(super.node_size) || super.node_size < 4096 || super.node_size > 65536 ||
      !is_power(super.sector_size) || super.sector_size > 65536 || chunk_size > 2048 ||
      super.root_level > 7 || super.chunk_root_level > 7)
    throw Error(ErrorCode::corrupt, "the superblock of Btrfs is damaged");
  ByteView chunks = part_of(bytes, 811, chunk_size);
  super.chunks.assign(chunks.begin(), chunks.end());
  return super;
}

Chunk parse_chunk(ByteView bytes, uint64_t& at, uint64_t begin) {
  Chunk chunk;
  chunk.begin = begin;
  chunk.length = little64(bytes, at);
  chunk.stripe_length = little64(bytes, at + 16);
  chunk.kind = little64(bytes, at + 24);
  size_t count = little16(bytes, at + 44);
  chunk.sub_stripes = little16(bytes, at + 46);
  at += 48;
  if (chunk.length == 0 || begin > INT64_MAX || chunk.length > INT64_MAX || count == 0 ||
      count > kMaxStripes || chunk.stripe_length < 4096 || chunk.stripe_length > 1 << 30)
    throw Error(ErrorCode::corrupt, "a chunk of Btrfs is damaged");
  for (size_t i = 0; i < count; ++i, at += 32)
    chunk.stripes.push_back({little64(bytes, at), little64(bytes, at + 8)});
  return chunk;
}

std::optional<Place> place_in(const Chunk& chunk, uint64_t address, size_t number) {
  uint64_t within = address - chunk.begin, left = chunk.length - within;
  size_t count = chunk.stripes.size();
  auto at = [&](size_t index, uint64_t offset, uint64_t length) {
    const Stripe& stripe = chunk.stripes[index];
    return Place{{stripe.device, stripe.offset + offset}, std::min(length, left)};
  };
  uint64_t unit = chunk.stripe_length, row = within / unit, rest = within % unit;
  if ((chunk.kind & (kRaid5 | kRaid6)) != 0) {
    size_t parity = (chunk.kind & kRaid5) != 0 ? 1 : 2;
    if (number > 0 || count <= parity) return std::nullopt;
    size_t data = count - parity;
    uint64_t line = row / data;
    return at(static_cast<size_t>((row % data + line) % count), line * unit + rest, unit - rest);
  }
  if ((chunk.kind & kRaid0) != 0) {
    if (number > 0) return std::nullopt;
    return at(static_cast<size_t>(row % count), row / count * unit + rest, unit - rest);
  }
  if ((chunk.kind & kRaid10) != 0) {
    size_t copies = std::max<size_t>(chunk.sub_stripes, 1), groups = count / copies;
    if (number >= copies || groups == 0) return std::nullopt;
    return at(static_cast<size_t>(row % groups) * copies + number, row / groups * unit + rest,
              unit - rest);
  }
  bool is_copied = (chunk.kind & (kRaid1 | kDup | kRaid1c3 | kRaid1c4)) != 0;
  if (number >= (is_copied ? count : 1)) return std::nullopt;
  return at(number, within, left);
}

uint32_t crc32c(ByteView bytes) {
  static const auto table = [] {
    std::array<uint32_t, 256> made{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit)
        value = (value & 1) != 0 ? value >> 1 ^ 0x82f63b78 : value >> 1;
      made[i] = value;
    }
    return made;
  }();
  uint32_t sum = ~0u;
  for (uint8_t each : bytes) sum = table[(sum ^ each) & 0xff] ^ sum >> 8;
  return ~sum;
}

}  // namespace images::files::btrfs
