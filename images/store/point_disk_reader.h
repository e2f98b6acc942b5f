// The DiskReader over a store's packs: tree → chunk → memory or disk cache. Thread-safe.
#pragma once

#include <memory>
#include <optional>

#include "base/lru_cache.h"
#include "images/disk_reader.h"
#include "images/store/disk_cache.h"
#include "images/store/single_flight.h"
#include "images/store/store_context.h"

namespace images {

using ChunkCache = base::LruCache<ChunkId, const base::Bytes>;

class PointDiskReader : public DiskReader {
 public:
  // `lease` keeps the point from being deleted; a read after its end throws unavailable. `disk_cache` may be null; otherwise it is used
  // instead of `chunks`.
  PointDiskReader(std::shared_ptr<StoreContext> store, PointDisk disk, std::unique_ptr<Lease> lease,
                  std::shared_ptr<ChunkCache> chunks, std::unique_ptr<DiskCache> disk_cache)
      : store_(std::move(store)), disk_(std::move(disk)), lease_(std::move(lease)),
        chunks_(std::move(chunks)), disk_cache_(std::move(disk_cache)) {}

  const PointDisk& disk() const override { return disk_; }
  uint64_t size() const override { return disk_.size; }
  void read(uint64_t offset, base::MutableByteView out) override;
  void prefetch(uint64_t offset) override;
  std::vector<Extent> extents(uint64_t offset, uint64_t length) override;
  const ChunkHasher& hasher() const override { return store_->hasher; }
  std::vector<ChunkId> chunk_ids(uint64_t first_chunk, uint64_t count) override;
  DiskChanges changes_since(const PointDisk& base, uint64_t first, size_t max_count) override;
  EncodedChunk encoded_chunk(uint64_t number, base::Bytes& buffer) override;

 private:
  static constexpr size_t kCachedLeaves = 2048;  // 4 MiB of nodes: 8 GiB of disk with 64 KiB chunks

  // The level 0 node over these chunks; null if all of them are zero.
  std::shared_ptr<const format::Node> leaf(uint64_t number);
  // Its id; nothing for a chunk of zeros.
  std::optional<ChunkId> find_id(uint64_t chunk);
  void read_chunk(uint64_t chunk, uint64_t from, base::MutableByteView out);
  void fetch_chunk(uint64_t chunk, const ChunkId& id, uint64_t from, base::MutableByteView out);
  void append_extents(const ChunkId& id, uint32_t level, uint64_t number, uint64_t first,
                      uint64_t last, std::vector<Extent>& extents);
  // The places in [changes.next, end of the disk) at which the subtrees of two ids differ. False once
  // there are `max_count` of them.
  bool append_changes(const ChunkId& before, const ChunkId& now, uint32_t level, uint64_t number,
                      size_t max_count, DiskChanges& changes);
  void append_extent(uint64_t first, uint64_t last, ExtentKind kind, std::vector<Extent>& extents);

  std::shared_ptr<StoreContext> store_;
  PointDisk disk_;
  std::unique_ptr<Lease> lease_;
  std::shared_ptr<ChunkCache> chunks_;
  std::unique_ptr<DiskCache> disk_cache_;
  base::LruCache<uint64_t, const format::Node> leaves_{kCachedLeaves};
  // One decode of a chunk at a time: the second thread finds it in the cache.
  SingleFlight<uint64_t> decoding_;
};

}  // namespace images
