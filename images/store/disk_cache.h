// Chunks of one disk that were decoded once, kept in an unlinked sparse file at their place in the
// disk: the kernel's page cache then serves them like a local raw image, and memory goes back under
// pressure. At most `capacity` bytes; the chunk that came first leaves first. Thread-safe.
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
  // Throws what the system says when no file can be made in `directory`.
  DiskCache(const std::string& directory, uint64_t disk_size, uint32_t chunk_size,
            uint64_t capacity);

  // Fills `out` from disk offset `offset` if all of it is here; false, with `out` unspecified, if
  // not.
  bool read(uint64_t offset, base::MutableByteView out);
  // Keeps a chunk. Never throws: a cache that cannot keep (disk full) keeps nothing.
  void put(uint64_t chunk, base::ByteView plain);

 private:
  bool has(uint64_t chunk) const;
  void mark(uint64_t chunk, bool present);
  void evict_one(uint64_t chunk);

  // One word for 64 chunks; a page of words is made when its first chunk comes.
  static constexpr uint64_t kWordsPerPage = 4096;
  using Page = std::vector<std::atomic<uint64_t>>;
  static constexpr size_t kStripes = 64;

  uint32_t chunk_size_;
  uint64_t capacity_chunks_;
  base::UniqueFd fd_;
  std::vector<std::atomic<Page*>> pages_;
  std::vector<std::unique_ptr<Page>> owned_pages_;  // guarded by order_
  base::Guarded<std::deque<uint64_t>> order_;
  // A reader holds its chunks' stripes shared while it reads, so that none of them is punched out
  // under it.
  std::vector<std::shared_mutex> stripes_;
};

}  // namespace images
