// Decoded chunks of one disk, kept in an unlinked sparse file at their place in the disk: the
// kernel's page cache then serves them like a local raw image, and memory is reclaimed under
// pressure. At most `capacity` bytes; the oldest chunk is dropped first. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <shared_mutex>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/guarded.h"
#include "base/unique_fd.h"

namespace images {

class DiskCache {
 public:
  // Throws the system's error if no file can be created in `directory`.
  DiskCache(const std::string& directory, uint64_t disk_size, uint32_t chunk_size,
            uint64_t capacity);

  // Fills `out` from disk offset `offset` if all of it is cached; otherwise false, with `out`
  // unspecified.
  bool read(uint64_t offset, base::MutableByteView out);
  // Keeps a chunk. Never throws: if it cannot be kept (disk full), it is not.
  void put(uint64_t chunk, base::ByteView plain);

 private:
  bool has(uint64_t chunk) const;
  void mark(uint64_t chunk, bool present);
  void evict_one(uint64_t chunk);

  // One word for 64 chunks; a page of words is created when its first chunk is cached.
  static constexpr uint64_t kWordsPerPage = 4096;
  using Page = std::vector<std::atomic<uint64_t>>;
  static constexpr size_t kStripes = 64;

  uint32_t chunk_size_;
  uint64_t capacity_chunks_;
  base::UniqueFd fd_;
  std::vector<std::atomic<Page*>> pages_;
  std::vector<std::unique_ptr<Page>> owned_pages_;  // guarded by order_
  base::Guarded<std::deque<uint64_t>> order_;
  // A reader holds the stripes of its chunks shared while it reads, so that none of them is punched
  // out meanwhile.
  std::vector<std::shared_mutex> stripes_;
};

}  // namespace images
