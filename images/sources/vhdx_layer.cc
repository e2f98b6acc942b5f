#include "images/sources/vhdx_layer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "base/bytes.h"
#include "base/error.h"
#include "images/sources/header_fields.h"
#include "images/sources/wide_names.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;

constexpr uint64_t kKiB = 1024, kMiB = 1 << 20;
constexpr uint64_t kLargestDisk = 64ull << 40;  // bytes
constexpr uint64_t kSectorsOfChunk = 1 << 23;   // whose bits are in one block of sector bits
constexpr uint64_t kBitmapSize = kMiB;          // bytes of a block of sector bits

// Identifiers as they are in the file: the first three groups are little-endian.
constexpr std::string_view kTableRegion = "6677c22d23f600429d64115e9bfd4a08";
constexpr std::string_view kMetadataRegion = "06a27c8b90479a4bb8fe575f050f886e";
constexpr std::string_view kFileParameters = "3767a1ca36fa434db3b633f0aa44e76b";
constexpr std::string_view kDiskSize = "2442a52f1bcd7648b2115dbed83bf4b8";
constexpr std::string_view kSectorSize = "1dbf41816fa90947ba47f233a8faab5f";
constexpr std::string_view kParentLocator = "2d5fd3a80bb34d45abf7d3d84834ab0c";
constexpr std::string_view kVhdxParent = "b7ef4ab09ed1814ab78925b8e9445913";

std::string hex_of(std::string_view bytes) { return base::to_hex(base::as_bytes(bytes)); }

uint32_t crc32c(std::string_view bytes) {
  static const auto table = [] {
    std::array<uint32_t, 256> made{};
    for (uint32_t i = 0; i < made.size(); ++i) {
      made[i] = i;
      for (int bit = 0; bit < 8; ++bit)
        made[i] = made[i] >> 1 ^ ((made[i] & 1) != 0 ? 0x82f63b78u : 0u);
    }
    return made;
  }();
  uint32_t sum = ~0u;
  for (char each : bytes) sum = sum >> 8 ^ table[(sum ^ static_cast<uint8_t>(each)) & 0xff];
  return ~sum;
}

// The checksum is at byte 4 and counts as zeros.
bool has_sound_checksum(std::string header) {
  uint64_t told = HeaderFields(header).little_endian(4, 4);
  std::fill_n(header.begin() + 4, 4, '\0');
  return crc32c(header) == told;
}

// "{01234567-89ab-…}" as the bytes in a file, in hexadecimal; empty: it is something else.
std::string bytes_of_guid(std::string_view text) {
  std::string digits;
  for (char each : text) {
    if (std::isxdigit(static_cast<unsigned char>(each)) != 0)
      digits += static_cast<char>(std::tolower(static_cast<unsigned char>(each)));
  }
  if (digits.size() != 32) return "";
  std::string swapped;
  for (size_t i : {6, 4, 2, 0, 10, 8, 14, 12}) swapped += digits.substr(i, 2);
  return swapped + digits.substr(16);
}

class VhdxLayer : public ImageLayer {
 public:
  VhdxLayer(const FilePart& part, const std::string& path) : part_(part), path_(path) {
    read_header();
    read_regions();
    read_metadata();
  }

  // Throws unless all of the content can be read from the file as it is.
  void expect_readable() const {
    if (has_log_) {
      throw Error(ErrorCode::unsupported,
                  fmt::format("{} was not closed properly: changes of it are only in its log. "
                              "Attach it once on Windows (Mount-VHD and Dismount-VHD)",
                              path_));
    }
    expect_blocks_in_file();
  }

  uint64_t size() const override { return size_; }
  const std::string& identity() const override { return identity_; }
  const ParentLink* parent() const override { return link_ ? &*link_ : nullptr; }

  LayerRun run_at(uint64_t offset, uint64_t end) const override {
    uint64_t block = offset / block_size_, in_block = offset % block_size_;
    uint64_t length = std::min(end - offset, block_size_ - in_block);
    uint64_t entry = entry_at(index_of(block));
    uint64_t data = entry / kMiB * kMiB + in_block;
    switch (entry & kStateMask) {
      case kNotPresent: return {length, link_ ? LayerContent::below : LayerContent::zero, 0};
      case kUndefined:
      case kZero:
      case kUnmapped: return {length, LayerContent::zero, 0};
      case kFullyPresent: return {length, LayerContent::here, data};
      case kPartlyPresent: return changed_run(block, in_block, length, data);
      default: fail("a block is in an impossible state");
    }
  }

 private:
  static constexpr uint64_t kStateMask = 7;
  static constexpr uint64_t kNotPresent = 0, kUndefined = 1, kZero = 2, kUnmapped = 3,
                            kFullyPresent = 6, kPartlyPresent = 7;

  [[noreturn]] void fail(std::string_view problem) const {
    throw Error(ErrorCode::corrupt, fmt::format("{} is a damaged VHDX: {}", path_, problem));
  }

  // The newer of two headers.
  void read_header() {
    uint64_t newest = 0;
    bool is_found = false;
    for (uint64_t at : {64 * kKiB, 128 * kKiB}) {
      std::string header = read_text(part_, at, 4 * kKiB);
      if (header.size() != 4 * kKiB || !header.starts_with("head") || !has_sound_checksum(header))
        continue;
      HeaderFields fields(header);
      uint64_t number = fields.little_endian(8, 8);
      if (is_found && number <= newest) continue;
      is_found = true;
      newest = number;
      identity_ = hex_of(std::string_view(header).substr(32, 16));
      has_log_ = !base::is_all_zero(base::as_bytes(std::string_view(header).substr(48, 16)));
    }
    if (!is_found) fail("neither of its headers is readable");
  }

  void read_regions() {
    std::string text;
    for (uint64_t at : {192 * kKiB, 256 * kKiB}) {
      text = read_text(part_, at, 64 * kKiB);
      if (text.size() == 64 * kKiB && text.starts_with("regi") && has_sound_checksum(text)) break;
      text.clear();
    }
    if (text.empty()) fail("its table of regions is not readable");
    constexpr uint64_t kMaxRegions = 2047;
    HeaderFields fields(text);
    uint64_t count = std::min(fields.little_endian(8, 4), kMaxRegions);
    for (uint64_t i = 0; i < count; ++i) {
      size_t at = 16 + i * 32;
      std::string id = hex_of(std::string_view(text).substr(at, 16));
      uint64_t offset = fields.little_endian(at + 16, 8);
      if (id == kTableRegion) {
        table_ = offset;
        table_size_ = fields.little_endian(at + 24, 4);
      } else if (id == kMetadataRegion) {
        metadata_ = offset;
      } else if ((fields.little_endian(at + 28, 4) & 1) != 0) {
        throw Error(ErrorCode::unsupported,
                    path_ + " is a VHDX with a part that only newer programs know");
      }
    }
    if (table_ == 0 || metadata_ == 0) fail("parts of it are missing");
  }

  void read_metadata() {
    std::string text = read_text(part_, metadata_, 64 * kKiB);
    if (!text.starts_with("metadata")) fail("its metadata is not readable");
    constexpr uint64_t kMaxItems = 2047, kMaxItem = kMiB;
    HeaderFields fields(text);
    uint64_t count = std::min(fields.little_endian(10, 2), kMaxItems), sector_size = 0;
    bool has_parent = false;
    for (uint64_t i = 0; i < count && 32 * (i + 2) <= text.size(); ++i) {
      size_t at = 32 + i * 32;
      std::string id = hex_of(std::string_view(text).substr(at, 16));
      uint64_t offset = fields.little_endian(at + 16, 4);
      std::string item = read_text(part_, metadata_ + offset,
                                   std::min(fields.little_endian(at + 20, 4), kMaxItem));
      HeaderFields values(item);
      if (id == kFileParameters) {
        block_size_ = values.little_endian(0, 4);
        has_parent = (values.little_endian(4, 4) & 2) != 0;
      } else if (id == kDiskSize) {
        size_ = values.little_endian(0, 8);
      } else if (id == kSectorSize) {
        sector_size = values.little_endian(0, 4);
      } else if (id == kParentLocator) {
        link_ = read_link(item);
      }
    }
    bool possible = block_size_ >= kMiB && block_size_ <= 256 * kMiB &&
                    (block_size_ & (block_size_ - 1)) == 0 && size_ != 0 && size_ <= kLargestDisk &&
                    (sector_size == 512 || sector_size == 4096) && size_ % sector_size == 0;
    if (!possible) fail("its sizes are impossible");
    sector_size_ = sector_size;
    blocks_of_chunk_ = kSectorsOfChunk * sector_size / block_size_;
    if (!has_parent) link_.reset();
    else if (!link_) fail("it does not name its parent");
  }

  // Keys and values in UTF-16.
  static ParentLink read_link(const std::string& item) {
    constexpr uint64_t kMaxPairs = 64;
    HeaderFields fields(item);
    ParentLink link;
    std::array<std::string, 3> names;  // the relative one first
    if (hex_of(std::string_view(item).substr(0, 16)) != kVhdxParent) return link;
    uint64_t count = std::min(fields.little_endian(18, 2), kMaxPairs);
    auto text_at = [&](uint64_t offset, uint64_t size) -> std::string {
      if (offset > item.size() || size > item.size() - offset) return "";
      return text_of_wide(std::string_view(item).substr(offset, size), WideOrder::little);
    };
    for (uint64_t i = 0; i < count; ++i) {
      size_t at = 20 + i * 12;
      std::string key = text_at(fields.little_endian(at, 4), fields.little_endian(at + 8, 2));
      std::string value =
          text_at(fields.little_endian(at + 4, 4), fields.little_endian(at + 10, 2));
      if (key == "parent_linkage") link.id = bytes_of_guid(value);
      if (key == "relative_path") names[0] = value;
      if (key == "absolute_win32_path") names[1] = value;
      if (key == "volume_path") names[2] = value;
    }
    for (const std::string& name : names) {
      if (!name.empty()) link.names.push_back(name);
    }
    return link;
  }

  // After the entries of a chunk's blocks there is one of its sector bits.
  uint64_t index_of(uint64_t block) const { return block + block / blocks_of_chunk_; }

  uint64_t entry_at(uint64_t index) const {
    std::string entry = index * 8 + 8 > table_size_ ? "" : read_text(part_, table_ + index * 8, 8);
    if (entry.size() != 8) fail("it is cut off");
    return HeaderFields(entry).little_endian(0, 8);
  }

  void expect_blocks_in_file() const {
    constexpr uint64_t kAtOnce = 1 << 16;  // entries
    uint64_t end = size_of(part_);
    uint64_t entry_count = index_of((size_ + block_size_ - 1) / block_size_ - 1) + 1;
    if (entry_count * 8 > table_size_) fail("its table is too small");
    for (uint64_t first = 0; first < entry_count; first += kAtOnce) {
      uint64_t count = std::min(kAtOnce, entry_count - first);
      std::string entries = read_text(part_, table_ + first * 8, count * 8);
      if (entries.size() != count * 8) fail("it is cut off");
      HeaderFields fields(entries);
      for (size_t i = 0; i < count; ++i) {
        uint64_t entry = fields.little_endian(i * 8, 8), state = entry & kStateMask;
        bool is_bitmap = (first + i) % (blocks_of_chunk_ + 1) == blocks_of_chunk_;
        if (state != kFullyPresent && state != kPartlyPresent) continue;
        uint64_t block = first + i - (first + i) / (blocks_of_chunk_ + 1);
        uint64_t stored =
            is_bitmap ? kBitmapSize : std::min(block_size_, size_ - block * block_size_);
        if (entry / kMiB * kMiB > UINT64_MAX / 2 || entry / kMiB * kMiB + stored > end)
          fail("it is cut off");
      }
    }
  }

  // One bit a sector, the lowest first: what was written in this file.
  LayerRun changed_run(uint64_t block, uint64_t in_block, uint64_t length, uint64_t data) const {
    uint64_t chunk = block / blocks_of_chunk_;
    uint64_t bitmap = entry_at(chunk * (blocks_of_chunk_ + 1) + blocks_of_chunk_);
    if ((bitmap & kStateMask) != kFullyPresent || !link_)
      fail("it does not say which sectors of a block were changed");
    uint64_t first = (block % blocks_of_chunk_) * block_size_ / sector_size_;
    uint64_t sector = first + in_block / sector_size_;
    uint64_t last = first + (in_block + length + sector_size_ - 1) / sector_size_;
    uint64_t from = sector / 8, to = (last + 7) / 8;
    std::string bits = read_text(part_, bitmap / kMiB * kMiB + from, to - from);
    if (bits.size() != to - from) fail("it is cut off");
    auto is_here = [&](uint64_t number) {
      return (static_cast<uint8_t>(bits[number / 8 - from]) >> (number % 8) & 1) != 0;
    };
    bool here = is_here(sector);
    uint64_t next = sector + 1;
    while (next < last && is_here(next) == here) ++next;
    uint64_t run = std::min(length, (next - first) * sector_size_ - in_block);
    return {run, here ? LayerContent::here : LayerContent::below, data};
  }

  const FilePart part_;
  const std::string path_;
  std::string identity_;
  bool has_log_ = false;
  uint64_t table_ = 0, table_size_ = 0;  // of blocks: offset, bytes
  uint64_t metadata_ = 0;
  uint64_t size_ = 0;
  uint64_t block_size_ = 0;
  uint64_t sector_size_ = 0;
  uint64_t blocks_of_chunk_ = 0;
  std::optional<ParentLink> link_;
};

bool is_vhdx(const FilePart& part) { return read_text(part, 0, 8) == "vhdxfile"; }

}  // namespace

std::unique_ptr<ImageLayer> open_vhdx_layer(const FilePart& part, const std::string& path) {
  if (!is_vhdx(part)) return nullptr;
  auto layer = std::make_unique<VhdxLayer>(part, path);
  layer->expect_readable();
  return layer;
}

std::optional<ParentLink> parent_of_vhdx(const FilePart& part, const std::string& path) {
  if (!is_vhdx(part)) return std::nullopt;
  try {
    VhdxLayer layer(part, path);
    if (const ParentLink* link = layer.parent()) return *link;
  } catch (const Error& error) {
    // QEMU says better what is wrong with it.
    if (error.code() == ErrorCode::io) throw;
  }
  return std::nullopt;
}

}  // namespace images
