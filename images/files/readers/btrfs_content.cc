#include "images/files/readers/btrfs_content.h"

#include <lzo/lzo1x.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>

#include "base/error.h"
#include "images/files/readers/file_runs.h"
#include "images/files/readers/values_at.h"

namespace images::files::btrfs {
namespace {

using base::Bytes;
using base::ByteView;
using base::Error;
using base::ErrorCode;

constexpr size_t kMaxExtents = 1'000'000;  // of one file
constexpr uint64_t kMaxUnpacked = 1 << 20;
constexpr uint8_t kZlib = 1, kLzo = 2, kZstd = 3;
constexpr uint8_t kInline = 0, kRegular = 1, kReserved = 2;

[[noreturn]] void damaged() { throw Error(ErrorCode::corrupt, "its compressed data are damaged"); }

void unpack_zlib(ByteView stored, Bytes& out) {
  z_stream stream{};
  if (::inflateInit(&stream) != Z_OK) throw std::bad_alloc();
  stream.next_in = const_cast<Bytef*>(stored.data());
  stream.avail_in = static_cast<uInt>(stored.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  int result = ::inflate(&stream, Z_FINISH);
  ::inflateEnd(&stream);
  // What is stored goes on to the end of a sector.
  if (result != Z_STREAM_END && !(result == Z_BUF_ERROR && stream.avail_out == 0)) damaged();
}

void unpack_zstd(ByteView stored, Bytes& out) {
  std::unique_ptr<ZSTD_DStream, size_t (*)(ZSTD_DStream*)> stream(::ZSTD_createDStream(),
                                                                  ::ZSTD_freeDStream);
  if (!stream) throw std::bad_alloc();
  ::ZSTD_DCtx_setParameter(stream.get(), ZSTD_d_windowLogMax, 20);
  ZSTD_inBuffer from{stored.data(), stored.size(), 0};
  ZSTD_outBuffer to{out.data(), out.size(), 0};
  for (size_t left = 1; left != 0 && to.pos < to.size;) {
    size_t before = from.pos + to.pos;
    left = ::ZSTD_decompressStream(stream.get(), &to, &from);
    if (::ZSTD_isError(left) != 0 || (left != 0 && from.pos + to.pos == before)) damaged();
  }
}

// A length of all, then pieces with theirs; a length does not cross the end of a sector.
void unpack_lzo(ByteView stored, Bytes& out, uint32_t sector) {
  uint64_t total = std::min<uint64_t>(little32(stored, 0), stored.size()), at = 4, done = 0;
  while (at + 4 <= total && done < out.size()) {
    uint64_t left = sector - at % sector;
    if (left < 4) at += left;
    uint64_t size = little32(stored, at);
    at += 4;
    ByteView piece = part_of(stored, at, size);
    lzo_uint room = out.size() - done;
    int result =
        ::lzo1x_decompress_safe(piece.data(), piece.size(), out.data() + done, &room, nullptr);
    if (result != LZO_E_OK) damaged();
    done += room;
    at += size;
  }
}

}  // namespace

Bytes unpack(uint8_t compression, ByteView stored, uint64_t size, uint32_t sector_size) {
  if (size > kMaxUnpacked) throw Error(ErrorCode::corrupt, "an extent is too large");
  Bytes out(size);
  if (compression == kZlib) unpack_zlib(stored, out);
  else if (compression == kLzo) unpack_lzo(stored, out, sector_size);
  else if (compression == kZstd) unpack_zstd(stored, out);
  else throw Error(ErrorCode::unsupported, "it is compressed in a way that is not known here");
  return out;
}

Content::Content(Trees& trees, const Trees::Root& volume, uint64_t inode, uint64_t size)
    : trees_(trees), size_(size) {
  trees_.each(volume, {inode, kExtentData, 0}, [&](const Key& key, ByteView data) {
    if (key.object != inode || key.type != kExtentData) return false;
    add(key, data);
    return true;
  });
}

void Content::add(const Key& key, ByteView data) {
  Extent extent;
  extent.begin = key.offset;
  extent.unpacked_size = little64(data, 8);
  extent.compression = u8_at(data, 16);
  uint8_t encryption = u8_at(data, 17), kind = u8_at(data, 20);
  if (encryption != 0 || little16(data, 18) != 0)
    throw Error(ErrorCode::unsupported, "it is stored in a way that is not known here");
  if (kind == kInline) {
    ByteView small = part_of(data, 21, data.size() - 21);
    extent.small.assign(small.begin(), small.end());
    extent.length = extent.unpacked_size;
    if (extent.length > kMaxUnpacked) throw Error(ErrorCode::corrupt, "an extent is damaged");
  } else if (kind == kRegular || kind == kReserved) {
    extent.address = little64(data, 21);
    extent.stored_size = little64(data, 29);
    extent.offset = little64(data, 37);
    extent.length = little64(data, 45);
    if (extent.address == 0 || kind == kReserved || extent.length == 0) return;
    if (extent.compression != 0 &&
        (extent.stored_size > kMaxUnpacked || extent.unpacked_size > kMaxUnpacked))
      throw Error(ErrorCode::corrupt, "an extent is damaged");
  } else {
    throw Error(ErrorCode::corrupt, "an extent is damaged");
  }
  if (extent.begin >= size_) return;
  extent.length = std::min(extent.length, size_ - extent.begin);
  bool overlaps =
      !extents_.empty() && extents_.back().begin + extents_.back().length > extent.begin;
  if (overlaps || extents_.size() >= kMaxExtents || extent.offset > INT64_MAX)
    throw Error(ErrorCode::corrupt, "its list of extents is damaged");
  extents_.push_back(std::move(extent));
}

const Bytes& Content::unpacked(const Extent& extent) {
  if (unpacked_begin_ == extent.begin) return unpacked_;
  unpacked_begin_ = UINT64_MAX;
  if (!extent.small.empty() || extent.address == 0) {
    unpacked_ =
        unpack(extent.compression, extent.small, extent.unpacked_size, trees_.super().sector_size);
  } else {
    Bytes stored(extent.stored_size);
    trees_.read(extent.address, stored);
    unpacked_ =
        unpack(extent.compression, stored, extent.unpacked_size, trees_.super().sector_size);
  }
  unpacked_begin_ = extent.begin;
  return unpacked_;
}

void Content::read_extent(const Extent& extent, uint64_t from, base::MutableByteView out) {
  if (extent.compression != 0) {
    ByteView part = part_of(unpacked(extent), extent.offset + from, out.size());
    std::copy(part.begin(), part.end(), out.begin());
  } else if (extent.address == 0) {
    ByteView part = part_of(extent.small, from, out.size());
    std::copy(part.begin(), part.end(), out.begin());
  } else {
    trees_.read(extent.address + extent.offset + from, out);
  }
}

void Content::read(uint64_t offset, base::MutableByteView out) {
  auto extent = std::upper_bound(extents_.begin(), extents_.end(), offset,
                                 [](uint64_t at, const Extent& each) { return at < each.begin; });
  if (extent != extents_.begin()) --extent;
  while (!out.empty()) {
    while (extent != extents_.end() && extent->begin + extent->length <= offset) ++extent;
    bool is_hole = extent == extents_.end() || offset < extent->begin;
    uint64_t until = extent == extents_.end() ? offset + out.size()
                     : is_hole                ? extent->begin
                                              : extent->begin + extent->length;
    size_t size = static_cast<size_t>(std::min<uint64_t>(out.size(), until - offset));
    if (is_hole) std::fill_n(out.begin(), size, uint8_t{0});
    else read_extent(*extent, offset - extent->begin, out.first(size));
    offset += size;
    out = out.subspan(size);
  }
}

std::vector<DataRange> Content::ranges(size_t limit) {
  std::vector<DataRange> all;
  for (const Extent& each : extents_) {
    if (!all.empty() && all.back().offset + all.back().length == each.begin)
      all.back().length += each.length;
    else all.push_back({each.begin, each.length});
  }
  return merged(std::move(all), limit);
}

}  // namespace images::files::btrfs
