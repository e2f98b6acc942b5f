#include "images/volumes/mapped_volume.h"

#include <algorithm>

#include "base/error.h"
#include "images/volumes/sector_cipher.h"

namespace images::volumes {
namespace {

constexpr uint64_t kPiece = 1 << 20;  // bytes decrypted or made up at a time

struct Row {
  uint64_t place;  // of the data
  uint64_t parity;
  uint64_t second_parity;  // of RAID 6; otherwise that of no place
};

// Where chunk `chunk` of the data is. The tables of the layouts are those of the Linux md driver.
Row row_of(const Segment& segment, uint64_t chunk) {
  uint64_t count = segment.places.size(), data = count - segment.parity_count;
  uint64_t row = chunk / data, index = chunk % data;
  uint64_t backwards = count - 1 - row % count, forwards = row % count;
  auto around = [&](uint64_t parity) { return (parity + segment.parity_count + index) % count; };
  auto past = [&](uint64_t parity) { return index >= parity ? index + 1 : index; };
  if (segment.parity_count == 2) return {around(backwards), backwards, (backwards + 1) % count};
  switch (segment.layout) {
    case ParityLayout::left_asymmetric: return {past(backwards), backwards, count};
    case ParityLayout::right_asymmetric: return {past(forwards), forwards, count};
    case ParityLayout::left_symmetric: return {around(backwards), backwards, count};
    case ParityLayout::right_symmetric: return {around(forwards), forwards, count};
    case ParityLayout::last: break;
  }
  return {index, count - 1, count};
}

}  // namespace

MappedVolume::MappedVolume(const VolumeMap& map, std::vector<DiskSource*> disks, Source source)
    : map_(map), disks_(std::move(disks)), source_(source) {
  bool fits =
      disks_.size() == map.disk_sizes.size() && source < map.disk_sizes.size() + map.layers.size();
  for (size_t i = 0; fits && i < disks_.size(); ++i) fits = disks_[i]->size() == map.disk_sizes[i];
  if (!fits) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      "the map of volumes is not of these disks");
  }
}

std::vector<Extent> MappedVolume::extents(uint64_t offset, uint64_t length) {
  return {{offset, length, ExtentKind::data}};
}

void MappedVolume::read(uint64_t offset, base::MutableByteView out) {
  read_source(source_, offset, out);
}

void MappedVolume::read_source(Source source, uint64_t offset, base::MutableByteView out) const {
  if (out.empty()) return;
  uint64_t size = map_.size_of(source);
  if (offset > size || out.size() > size - offset)
    throw base::Error(base::ErrorCode::invalid_argument, "a read reaches beyond its volume");
  if (source < disks_.size()) return disks_[source]->read(offset, out);
  const Layer& layer = map_.layers[source - disks_.size()];
  layer.cipher ? read_decrypted(layer, offset, out) : read_plain(layer, offset, out);
}

void MappedVolume::read_decrypted(const Layer& layer, uint64_t offset,
                                  base::MutableByteView out) const {
  uint64_t sector = layer.cipher->sector_size;
  while (!out.empty()) {
    uint64_t begin = offset / sector * sector;
    uint64_t length = std::min<uint64_t>(out.size(), kPiece);
    uint64_t end = (offset + length + sector - 1) / sector * sector;
    base::Bytes piece(end - begin);
    read_plain(layer, begin, piece);
    decrypt_sectors(*layer.cipher, begin, piece);
    std::copy_n(piece.begin() + static_cast<ptrdiff_t>(offset - begin), length, out.begin());
    offset += length;
    out = out.subspan(length);
  }
}

void MappedVolume::read_plain(const Layer& layer, uint64_t offset,
                              base::MutableByteView out) const {
  uint64_t begin = 0;
  for (const Segment& segment : layer.segments) {
    if (out.empty()) return;
    if (offset < begin + segment.length) {
      uint64_t within = offset - begin;
      uint64_t length = std::min<uint64_t>(out.size(), segment.length - within);
      read_segment(segment, within, out.first(length));
      offset += length;
      out = out.subspan(length);
    }
    begin += segment.length;
  }
}

void MappedVolume::read_segment(const Segment& segment, uint64_t offset,
                                base::MutableByteView out) const {
  if (segment.kind == SegmentKind::zero) {
    std::fill(out.begin(), out.end(), uint8_t{0});
    return;
  }
  if (segment.kind == SegmentKind::linear)
    return read_source(segment.places[0].source, segment.places[0].offset + offset, out);
  uint64_t chunk_size = segment.chunk_size;
  uint64_t data = segment.places.size();
  if (segment.kind == SegmentKind::parity) data -= segment.parity_count;
  while (!out.empty()) {
    uint64_t chunk = offset / chunk_size, within = offset % chunk_size;
    uint64_t length = std::min<uint64_t>({out.size(), chunk_size - within, kPiece});
    uint64_t place =
        segment.kind == SegmentKind::parity ? row_of(segment, chunk).place : chunk % data;
    const Place& from = segment.places[place];
    uint64_t at = chunk / data * chunk_size + within;
    if (from.source == kNoSource) {
      read_row(segment, place, chunk, at, out.first(length));
    } else {
      read_source(from.source, from.offset + at, out.first(length));
    }
    offset += length;
    out = out.subspan(length);
  }
}

// What is missing is the sum of everything else in its row, except RAID 6's second parity.
void MappedVolume::read_row(const Segment& segment, uint64_t place, uint64_t chunk, uint64_t at,
                            base::MutableByteView out) const {
  Row row = row_of(segment, chunk);
  base::Bytes piece(out.size());
  std::fill(out.begin(), out.end(), uint8_t{0});
  for (uint64_t i = 0; i < segment.places.size(); ++i) {
    if (i == place || i == row.second_parity) continue;
    read_source(segment.places[i].source, segment.places[i].offset + at, piece);
    for (size_t k = 0; k < piece.size(); ++k) out[k] ^= piece[k];
  }
}

}  // namespace images::volumes
