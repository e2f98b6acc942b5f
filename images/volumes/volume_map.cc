#include "images/volumes/volume_map.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "images/point.h"

namespace images::volumes {
namespace {

constexpr uint64_t kMaxChunk = 1ull << 30;

[[noreturn]] void refuse(const std::string& what, std::string_view problem) {
  throw base::Error(base::ErrorCode::corrupt, fmt::format("{}: {}", what, problem));
}

uint64_t data_places(const Segment& segment) {
  return segment.places.size() - (segment.kind == SegmentKind::parity ? segment.parity_count : 0);
}

// Bytes that each place of a segment must have.
uint64_t length_of_place(const Segment& segment) {
  if (segment.kind == SegmentKind::linear) return segment.length;
  uint64_t row = segment.chunk_size * data_places(segment);
  return (segment.length + row - 1) / row * segment.chunk_size;
}

bool has_missing(const Segment& segment) {
  return std::any_of(segment.places.begin(), segment.places.end(),
                     [](const Place& each) { return each.source == kNoSource; });
}

void check_shape(const Segment& segment, const std::string& what) {
  if (segment.length == 0 || segment.length > kMaxDiskSize)
    refuse(what, "a segment has an impossible length");
  size_t count = segment.places.size();
  bool is_chunked = segment.kind == SegmentKind::striped || segment.kind == SegmentKind::parity;
  if (is_chunked && (segment.chunk_size == 0 || segment.chunk_size % kSector != 0 ||
                     segment.chunk_size > kMaxChunk))
    refuse(what, "a segment has an impossible chunk size");
  bool fits = false;
  switch (segment.kind) {
    case SegmentKind::linear: fits = count == 1; break;
    case SegmentKind::striped: fits = count >= 1 && count <= kMaxPlaces; break;
    case SegmentKind::parity:
      fits = (segment.parity_count == 1 ||
              (segment.parity_count == 2 && segment.layout == ParityLayout::left_symmetric)) &&
             segment.layout <= ParityLayout::last && count > segment.parity_count &&
             count <= kMaxPlaces;
      break;
    case SegmentKind::zero: fits = count == 0; break;
  }
  if (!fits) refuse(what, "a segment has an impossible shape");
}

void check_cipher(const Layer& layer, const std::string& what) {
  const Cipher& cipher = *layer.cipher;
  size_t key = cipher.key.size();
  bool fits = cipher.mode == CipherMode::xts ? key == 32 || key == 64 : key == 16 || key == 32;
  auto is_unit = [](uint32_t size) {
    return size == 512 || size == 1024 || size == 2048 || size == 4096;
  };
  if (cipher.mode > CipherMode::cbc || cipher.iv > SectorIv::eboiv || !fits ||
      !is_unit(cipher.sector_size) || !is_unit(cipher.iv_unit) ||
      layer.size % cipher.sector_size != 0)
    refuse(what, "a layer has an impossible cipher");
}

struct Standing {
  size_t depth = 0;
  bool is_made_up = false;  // something below it is made up for by parity
};

}  // namespace

void validate(const VolumeMap& map, const std::string& what) {
  if (map.disk_sizes.size() > kMaxDisks || map.layers.size() > kMaxLayers)
    refuse(what, "it has too many disks or layers");
  for (uint64_t size : map.disk_sizes) {
    if (size > kMaxDiskSize) refuse(what, "a disk is impossibly large");
  }
  std::vector<Standing> standings(map.disk_sizes.size() + map.layers.size());
  size_t segment_count = 0;
  for (size_t i = 0; i < map.layers.size(); ++i) {
    const Layer& layer = map.layers[i];
    Standing& own = standings[map.source_of_layer(i)];
    uint64_t size = 0;
    for (const Segment& segment : layer.segments) {
      if (++segment_count > kMaxSegments) refuse(what, "it has too many segments");
      check_shape(segment, what);
      size += segment.length;
      bool can_miss = segment.kind == SegmentKind::parity;
      size_t missing = 0;
      for (const Place& place : segment.places) {
        if (place.source == kNoSource && can_miss && ++missing == 1) continue;
        if (place.source >= map.source_of_layer(i)) refuse(what, "a segment has no source");
        uint64_t length = length_of_place(segment), whole = map.size_of(place.source);
        if (length > whole || place.offset > whole - length)
          refuse(what, "a segment reaches beyond its source");
        const Standing& below = standings[place.source];
        own.depth = std::max(own.depth, below.depth + 1);
        // Each of them multiplies what has to be read.
        if (below.is_made_up && has_missing(segment))
          refuse(what, "members are missing on several levels");
        own.is_made_up = own.is_made_up || below.is_made_up;
      }
      own.is_made_up = own.is_made_up || has_missing(segment);
      if (size > kMaxDiskSize) refuse(what, "a layer is impossibly large");
    }
    if (size != layer.size) refuse(what, "the segments of a layer do not add up");
    if (own.depth > kMaxDepth) refuse(what, "too many layers lie on one another");
    if (layer.cipher) check_cipher(layer, what);
  }
}

void pack_map(const VolumeMap& map, base::ByteWriter& to) {
  to.u32(static_cast<uint32_t>(map.disk_sizes.size()));
  for (uint64_t size : map.disk_sizes) to.u64(size);
  to.u32(static_cast<uint32_t>(map.layers.size()));
  for (const Layer& layer : map.layers) {
    to.u64(layer.size);
    to.u32(static_cast<uint32_t>(layer.segments.size()));
    for (const Segment& segment : layer.segments) {
      to.u8(static_cast<uint8_t>(segment.kind));
      to.u8(static_cast<uint8_t>(segment.layout));
      to.u8(segment.parity_count);
      to.u64(segment.length);
      to.u64(segment.chunk_size);
      to.u32(static_cast<uint32_t>(segment.places.size()));
      for (const Place& place : segment.places) {
        to.u32(place.source);
        to.u64(place.offset);
      }
    }
    to.u8(layer.cipher ? 1 : 0);
    if (!layer.cipher) continue;
    const Cipher& cipher = *layer.cipher;
    to.u8(static_cast<uint8_t>(cipher.mode));
    to.u8(static_cast<uint8_t>(cipher.iv));
    to.u32(cipher.sector_size);
    to.u32(cipher.iv_unit);
    to.u64(cipher.first_iv);
    to.u32(static_cast<uint32_t>(cipher.key.size()));
    to.view(cipher.key);
  }
}

namespace {

Segment unpack_segment(base::ByteReader& from) {
  Segment segment;
  uint8_t kind = from.u8(), layout = from.u8();
  if (kind > static_cast<uint8_t>(SegmentKind::zero)) from.fail("a segment of an unknown kind");
  segment.kind = static_cast<SegmentKind>(kind);
  segment.layout = static_cast<ParityLayout>(layout);
  segment.parity_count = from.u8();
  segment.length = from.u64();
  segment.chunk_size = from.u64();
  uint32_t count = from.u32();
  if (count > kMaxPlaces) from.fail("too many places");
  for (uint32_t i = 0; i < count; ++i) {
    Source source = from.u32();
    segment.places.push_back({source, from.u64()});
  }
  return segment;
}

Cipher unpack_cipher(base::ByteReader& from) {
  Cipher cipher;
  cipher.mode = static_cast<CipherMode>(from.u8());
  cipher.iv = static_cast<SectorIv>(from.u8());
  cipher.sector_size = from.u32();
  cipher.iv_unit = from.u32();
  cipher.first_iv = from.u64();
  uint32_t size = from.u32();
  if (size > 64) from.fail("the key of a cipher is too long");
  base::ByteView key = from.view(size);
  cipher.key.assign(key.begin(), key.end());
  return cipher;
}

}  // namespace

VolumeMap unpack_map(base::ByteReader& from) {
  VolumeMap map;
  uint32_t disk_count = from.u32();
  if (disk_count > kMaxDisks) from.fail("too many disks");
  for (uint32_t i = 0; i < disk_count; ++i) map.disk_sizes.push_back(from.u64());
  uint32_t layer_count = from.u32();
  if (layer_count > kMaxLayers) from.fail("too many layers");
  size_t segment_count = 0;
  for (uint32_t i = 0; i < layer_count; ++i) {
    Layer layer;
    layer.size = from.u64();
    uint32_t count = from.u32();
    segment_count += count;
    if (segment_count > kMaxSegments) from.fail("too many segments");
    for (uint32_t each = 0; each < count; ++each) layer.segments.push_back(unpack_segment(from));
    if (from.u8() != 0) layer.cipher = unpack_cipher(from);
    map.layers.push_back(std::move(layer));
  }
  validate(map, "the map of volumes");
  return map;
}

}  // namespace images::volumes
