#include "images/sources/vhd_layer.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/error.h"
#include "images/sources/header_fields.h"
#include "images/sources/wide_names.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;

constexpr uint64_t kSector = 512;
constexpr uint64_t kFooterSize = 512;
constexpr uint64_t kHeaderSize = 1024;
constexpr std::string_view kFooterMagic = "conectix", kHeaderMagic = "cxsparse";
constexpr uint64_t kFixed = 2, kDynamic = 3, kDifferencing = 4;
constexpr uint64_t kUnused = 0xffffffff;        // of the table: the block is not stored
constexpr uint64_t kLargestDisk = 2ull << 40;   // bytes, of dynamic disks: 2 TiB
constexpr uint64_t kSmallestBlock = 512 << 10;  // bytes; 2 MiB is usual
constexpr uint64_t kLargestBlock = 256 << 20;

std::string hex_of(std::string_view bytes) { return base::to_hex(base::as_bytes(bytes)); }

// The one's complement of the sum of all bytes but the checksum's own.
bool has_sound_checksum(std::string_view header, size_t at) {
  uint32_t sum = 0;
  for (size_t i = 0; i < header.size(); ++i) {
    if (i < at || i >= at + 4) sum += static_cast<uint8_t>(header[i]);
  }
  return HeaderFields(header).big_endian(at, 4) == uint32_t{~sum};
}

// The footer, or the copy of it at the beginning; empty: there is none.
std::string sound_footer(const FilePart& part) {
  uint64_t size = size_of(part);
  if (size < kFooterSize) return "";
  for (uint64_t at : {size - kFooterSize, uint64_t{0}}) {
    std::string footer = read_text(part, at, kFooterSize);
    if (footer.size() == kFooterSize && footer.starts_with(kFooterMagic) &&
        has_sound_checksum(footer, 64))
      return footer;
  }
  return "";
}

// The places where the parent was, relative to the child and absolute.
ParentLink read_link(const FilePart& part, const std::string& header) {
  constexpr size_t kLocatorCount = 8, kLocatorSize = 24;
  constexpr uint64_t kMaxName = 4096;  // bytes
  HeaderFields fields(header);
  ParentLink link;
  link.id = hex_of(std::string_view(header).substr(40, 16));
  link.names.push_back(text_of_wide(std::string_view(header).substr(64, 512), WideOrder::big));
  for (size_t i = 0; i < kLocatorCount; ++i) {
    size_t at = 576 + i * kLocatorSize;
    std::string_view kind = std::string_view(header).substr(at, 4);
    if (kind != "W2ru" && kind != "W2ku") continue;
    uint64_t size = std::min(fields.big_endian(at + 8, 4), kMaxName);
    link.names.push_back(
        text_of_wide(read_text(part, fields.big_endian(at + 16, 8), size), WideOrder::little));
  }
  std::erase(link.names, "");
  return link;
}

class VhdLayer : public ImageLayer {
 public:
  VhdLayer(const FilePart& part, const std::string& footer, const std::string& path)
      : part_(part), path_(path) {
    HeaderFields fields(footer);
    kind_ = fields.big_endian(60, 4);
    size_ = fields.big_endian(48, 8);
    identity_ = hex_of(std::string_view(footer).substr(68, 16));
    if (size_ == 0 || size_ % kSector != 0) fail("its size is impossible");
    if (kind_ == kFixed) {
      if (size_of(part_) - kFooterSize < size_) fail("it is cut off");
      return;
    }
    if (kind_ != kDynamic && kind_ != kDifferencing) fail("it is of an unknown kind");
    if (size_ > kLargestDisk) fail("it is larger than 2 TiB");
    read_header(fields.big_endian(16, 8));
    expect_blocks_in_file();
  }

  uint64_t size() const override { return size_; }
  const std::string& identity() const override { return identity_; }
  const ParentLink* parent() const override { return link_ ? &*link_ : nullptr; }

  LayerRun run_at(uint64_t offset, uint64_t end) const override {
    if (kind_ == kFixed) return {end - offset, LayerContent::here, offset};
    uint64_t block = offset / block_size_, in_block = offset % block_size_;
    uint64_t length = std::min(end - offset, block_size_ - in_block);
    uint64_t entry = entry_of(block);
    bool is_child = kind_ == kDifferencing;
    if (entry == kUnused) return {length, is_child ? LayerContent::below : LayerContent::zero, 0};
    uint64_t data = entry * kSector + bitmap_size_ + in_block;
    if (!is_child) return {length, LayerContent::here, data};
    return changed_run(entry * kSector, in_block, length, data);
  }

 private:
  [[noreturn]] void fail(std::string_view problem) const {
    throw Error(ErrorCode::corrupt, fmt::format("{} is a damaged VHD: {}", path_, problem));
  }

  void read_header(uint64_t at) {
    std::string header = read_text(part_, at, kHeaderSize);
    if (header.size() != kHeaderSize || !header.starts_with(kHeaderMagic) ||
        !has_sound_checksum(header, 36))
      fail("its header is not readable");
    HeaderFields fields(header);
    table_ = fields.big_endian(16, 8);
    block_count_ = fields.big_endian(28, 4);
    block_size_ = fields.big_endian(32, 4);
    bool possible = block_size_ >= kSmallestBlock && block_size_ <= kLargestBlock &&
                    (block_size_ & (block_size_ - 1)) == 0 &&
                    block_count_ >= (size_ + block_size_ - 1) / block_size_;
    if (!possible) fail("its blocks are of an impossible size");
    bitmap_size_ = (block_size_ / kSector / 8 + kSector - 1) / kSector * kSector;
    if (kind_ == kDifferencing) link_ = read_link(part_, header);
  }

  // What lies beyond the end of the file would be read as nothing.
  void expect_blocks_in_file() const {
    constexpr uint64_t kAtOnce = 1 << 16;  // entries
    uint64_t end = size_of(part_);
    uint64_t used = (size_ + block_size_ - 1) / block_size_;
    for (uint64_t first = 0; first < used; first += kAtOnce) {
      uint64_t count = std::min(kAtOnce, used - first);
      std::string entries = read_text(part_, table_ + first * 4, count * 4);
      if (entries.size() != count * 4) fail("it is cut off");
      HeaderFields fields(entries);
      for (size_t i = 0; i < count; ++i) {
        uint64_t entry = fields.big_endian(i * 4, 4);
        if (entry == kUnused) continue;
        // Of the last block, the part within the disk.
        uint64_t stored = std::min(block_size_, size_ - (first + i) * block_size_);
        if (entry * kSector + bitmap_size_ + stored > end) fail("it is cut off");
      }
    }
  }

  uint64_t entry_of(uint64_t block) const {
    std::string entry = read_text(part_, table_ + block * 4, 4);
    if (entry.size() != 4) fail("it is cut off");
    return HeaderFields(entry).big_endian(0, 4);
  }

  // From a block's bitmap, one bit a sector, the highest first: what was written in this file.
  LayerRun changed_run(uint64_t bitmap_at, uint64_t in_block, uint64_t length,
                       uint64_t data) const {
    std::string bitmap = read_text(part_, bitmap_at, bitmap_size_);
    if (bitmap.size() != bitmap_size_) fail("it is cut off");
    auto is_here = [&](uint64_t sector) {
      return (static_cast<uint8_t>(bitmap[sector / 8]) >> (7 - sector % 8) & 1) != 0;
    };
    uint64_t sector = in_block / kSector, last = (in_block + length + kSector - 1) / kSector;
    bool here = is_here(sector);
    uint64_t next = sector + 1;
    while (next < last && is_here(next) == here) ++next;
    uint64_t run = std::min(length, next * kSector - in_block);
    return {run, here ? LayerContent::here : LayerContent::below, data};
  }

  const FilePart part_;
  const std::string path_;
  uint64_t kind_ = 0;
  uint64_t size_ = 0;
  std::string identity_;
  std::optional<ParentLink> link_;
  uint64_t table_ = 0;  // offset of the table of blocks
  uint64_t block_count_ = 0;
  uint64_t block_size_ = 0;
  uint64_t bitmap_size_ = 0;
};

}  // namespace

std::unique_ptr<ImageLayer> open_vhd_layer(const FilePart& part, const std::string& path) {
  std::string footer = sound_footer(part);
  if (footer.empty()) return nullptr;
  return std::make_unique<VhdLayer>(part, footer, path);
}

std::optional<ParentLink> parent_of_vhd(const FilePart& part) {
  uint64_t end = size_of(part);
  for (uint64_t at : {end < kFooterSize ? 0 : end - kFooterSize, uint64_t{0}}) {
    std::string footer = read_text(part, at, kFooterSize);
    HeaderFields fields(footer);
    if (!footer.starts_with(kFooterMagic) || fields.big_endian(60, 4) != kDifferencing) continue;
    std::string header = read_text(part, fields.big_endian(16, 8), kHeaderSize);
    header.resize(kHeaderSize);
    return read_link(part, header);
  }
  return std::nullopt;
}

}  // namespace images
