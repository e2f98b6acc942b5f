// A disk in memory for tests of restores: random chunks with holes; fails, or lies, on order.
// Thread-safe for reads.
#pragma once

#include <algorithm>
#include <atomic>
#include <random>

#include "base/error.h"
#include "images/disk_reader.h"

namespace restore {

constexpr uint64_t kModelChunk = 65536;

class ModelDisk : public images::DiskReader {
 public:
  ModelDisk(uint64_t size, uint64_t seed) : content_(size) {
    std::mt19937_64 random(seed);
    for (uint64_t at = 0; at < size; at += kModelChunk) {
      if (random() % 3 == 0) continue;
      for (uint64_t i = at; i < std::min(size, at + kModelChunk); i += 512)
        content_[i] = static_cast<uint8_t>(random() | 1);
    }
  }
  base::Bytes& content() { return content_; }
  const base::Bytes& content() const { return content_; }
  uint64_t fail_at = ~0ull;  // reads of this byte fail
  uint64_t lie_at = ~0ull;   // reads of this byte return another one than its chunk's id names
  std::atomic<uint64_t> lie_count = ~0ull;  // that many of these reads; the others tell the truth
  std::atomic<uint64_t> read_size = 0;

  const images::PointDisk& disk() const override { return disk_; }
  uint64_t size() const override { return content_.size(); }
  void read(uint64_t offset, base::MutableByteView out) override {
    if (fail_at >= offset && fail_at < offset + out.size())
      throw base::Error(base::ErrorCode::corrupt, "damaged");
    std::copy_n(content_.begin() + static_cast<ptrdiff_t>(offset), out.size(), out.begin());
    if (lie_at >= offset && lie_at < offset + out.size() && lie_count > 0) {
      --lie_count;
      out[lie_at - offset] ^= 0x80;
    }
    read_size += out.size();
  }
  std::vector<images::Extent> extents(uint64_t offset, uint64_t length) override {
    std::vector<images::Extent> extents;
    for (uint64_t at = offset; at < offset + length; at += kModelChunk) {
      uint64_t size = std::min(kModelChunk, offset + length - at);
      bool zero = base::is_all_zero(base::ByteView(content_).subspan(at, size));
      extents.push_back({at, size, zero ? images::ExtentKind::zero : images::ExtentKind::data});
    }
    return extents;
  }
  const images::ChunkHasher& hasher() const override { return hasher_; }
  std::vector<images::ChunkId> chunk_ids(uint64_t first_chunk, uint64_t count) override {
    std::vector<images::ChunkId> ids;
    for (uint64_t chunk = first_chunk; chunk < first_chunk + count; ++chunk) {
      base::Bytes plain(kModelChunk);
      uint64_t begin = chunk * kModelChunk, length = std::min(kModelChunk, size() - begin);
      std::copy_n(content_.begin() + static_cast<ptrdiff_t>(begin), length, plain.begin());
      ids.push_back(base::is_all_zero(plain) ? images::ChunkId{} : hasher_.id_of(plain));
    }
    return ids;
  }

 private:
  images::PointDisk disk_;
  base::Bytes content_;
  images::ChunkHasher hasher_{kModelChunk};
};

}  // namespace restore
