// How volumes lie on the disks of a point: what the kernel's device mapper and md driver would do
// for LVM, software RAID and encryption, as values. A map is made by a program without privileges
// (volume_search.h) from what a guest wrote, and read by the export, which serves a volume of it
// (mapped_volume.h). So a map is hostile input: validate() says whether it can be served.
//
// Everything lies on a Source: a disk of the point, or a layer. A layer consists of segments, which
// take bytes from sources, and may decrypt them. A layer uses only layers before it, so there is no
// cycle. Example: the logical volume "root" on LUKS on partition 2 of disk 0:
//
//   layer 0  linear from disk 0 at 1 GiB                        the partition
//   layer 1  linear from layer 0 at 16 MiB, decrypted           what is in LUKS
//   layer 2  linear from layer 1 at 1 MiB, then at 300 MiB      "root"
//
// Values; thread-safe. All places and sizes are bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace images::volumes {

// Disk n, or layer n - (number of disks).
using Source = uint32_t;
constexpr Source kNoSource = 0xffffffff;  // a member that is missing
constexpr uint64_t kSector = 512;         // bytes; LVM, md and LUKS count in these

struct Place {
  Source source = kNoSource;
  uint64_t offset = 0;
};

enum class SegmentKind : uint8_t {
  linear,   // one place
  striped,  // chunks of `chunk_size` go around over all places
  parity,  // as RAID 4, 5 and 6: each row of chunks has parity, by which one missing place is made up for
  zero,  // reads as zeros; no place
};

// Where the parity of row r of n places is. Data follow it (symmetric), or keep their order.
enum class ParityLayout : uint8_t {
  left_asymmetric,   // from the last place backwards
  right_asymmetric,  // from the first forwards
  left_symmetric,
  right_symmetric,
  last,  // always in the last place (RAID 4)
};

struct Segment {
  SegmentKind kind = SegmentKind::linear;
  uint64_t length = 0;
  uint64_t chunk_size = 0;
  ParityLayout layout = ParityLayout::left_symmetric;
  uint8_t parity_count = 1;  // 2: RAID 6, left_symmetric only
  std::vector<Place> places{};
};

enum class CipherMode : uint8_t { xts, cbc };
enum class SectorIv : uint8_t {
  plain64,  // the sector's number
  plain,    // its low 32 bits
  essiv,    // the number, encrypted with the SHA-256 of the key
  // The byte offset, encrypted with the key: BitLocker's with CBC.
  eboiv,
};

// AES on sectors. The IV of the sector at `offset` is first_iv + offset / iv_unit.
struct Cipher {
  CipherMode mode = CipherMode::xts;
  SectorIv iv = SectorIv::plain64;
  uint32_t sector_size = 512;
  uint32_t iv_unit = 512;
  uint64_t first_iv = 0;
  base::Bytes key;  // 32 or 64 bytes for XTS, 16 or 32 for CBC; a secret
};

struct Layer {
  uint64_t size = 0;
  std::vector<Segment> segments;  // in order; together as long as the layer
  std::optional<Cipher> cipher;
};

struct VolumeMap {
  std::vector<uint64_t> disk_sizes;
  std::vector<Layer> layers;

  uint64_t size_of(Source source) const {
    return source < disk_sizes.size() ? disk_sizes[source]
                                      : layers[source - disk_sizes.size()].size;
  }
  Source source_of_layer(size_t index) const {
    return static_cast<Source>(disk_sizes.size() + index);
  }
};

constexpr size_t kMaxDisks = 64, kMaxLayers = 256, kMaxSegments = 20'000, kMaxPlaces = 64;
constexpr size_t kMaxDepth = 10;  // layers one on another
// The largest member of an array, so that sums of 64 of them do not wrap.
constexpr uint64_t kMaxChunkedSize = 1ull << 50;

// Throws corrupt unless all of it is within the limits and can be served: sources exist and come
// before, places are within them, segments add up, keys fit. `what` names the map in the message.
void validate(const VolumeMap& map, const std::string& what);

// The bytes between the programs. unpack_map() throws corrupt for anything else, and validates.
void pack_map(const VolumeMap& map, base::ByteWriter& to);
VolumeMap unpack_map(base::ByteReader& from);

}  // namespace images::volumes
