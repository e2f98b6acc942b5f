#include "images/store/disk_cache.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/error.h"

namespace images {
namespace {

base::UniqueFd unlinked_file(const std::string& directory) {
  base::UniqueFd fd(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (fd) return fd;
  // Not every file system has O_TMPFILE.
  std::string path = directory + "/.muletto-cache-XXXXXX";
  fd.reset(::mkostemp(path.data(), O_CLOEXEC));
  if (!fd) throw base::system_error(errno, "cannot make a cache file in " + directory);
  ::unlink(path.c_str());
  return fd;
}

}  // namespace

DiskCache::DiskCache(const std::string& directory, uint64_t disk_size, uint32_t chunk_size,
                     uint64_t capacity)
    : chunk_size_(chunk_size), capacity_chunks_(std::max<uint64_t>(capacity / chunk_size, 1)),
      fd_(unlinked_file(directory)), stripes_(kStripes) {
  uint64_t chunk_count = (disk_size + chunk_size - 1) / chunk_size;
  pages_ = std::vector<std::atomic<Page*>>(chunk_count / (64 * kWordsPerPage) + 1);
}

bool DiskCache::has(uint64_t chunk) const {
  const Page* page = pages_[chunk / (64 * kWordsPerPage)].load(std::memory_order_acquire);
  if (page == nullptr) return false;
  return ((*page)[chunk / 64 % kWordsPerPage].load(std::memory_order_acquire) >> (chunk % 64) &
          1) != 0;
}

// With order_ held: pages are created by one thread at a time.
void DiskCache::mark(uint64_t chunk, bool present) {
  std::atomic<Page*>& slot = pages_[chunk / (64 * kWordsPerPage)];
  if (slot.load() == nullptr) {
    owned_pages_.push_back(std::make_unique<Page>(kWordsPerPage));
    slot.store(owned_pages_.back().get(), std::memory_order_release);
  }
  std::atomic<uint64_t>& word = (*slot.load())[chunk / 64 % kWordsPerPage];
  uint64_t bit = 1ull << (chunk % 64);
  if (present) word.fetch_or(bit, std::memory_order_release);
  else word.fetch_and(~bit, std::memory_order_release);
}

bool DiskCache::read(uint64_t offset, base::MutableByteView out) {
  while (!out.empty()) {
    uint64_t chunk = offset / chunk_size_;
    size_t count = std::min<uint64_t>(out.size(), (chunk + 1) * chunk_size_ - offset);
    if (!has(chunk)) return false;
    std::shared_lock lock(stripes_[chunk % kStripes]);
    if (!has(chunk)) return false;
    if (::pread(fd_.get(), out.data(), count, static_cast<off_t>(offset)) !=
        static_cast<ssize_t>(count)) {
      return false;
    }
    out = out.subspan(count);
    offset += count;
  }
  return true;
}

void DiskCache::put(uint64_t chunk, base::ByteView plain) {
  {
    std::unique_lock lock(stripes_[chunk % kStripes]);
    if (has(chunk)) return;
    auto size = static_cast<ssize_t>(plain.size());
    if (::pwrite(fd_.get(), plain.data(), plain.size(), static_cast<off_t>(chunk * chunk_size_)) !=
        size)
      return;
  }
  uint64_t victim = 0;
  bool full = false;
  {
    auto order = order_.lock();
    if (has(chunk)) return;
    mark(chunk, true);
    order->push_back(chunk);
    full = order->size() > capacity_chunks_;
    if (full) {
      victim = order->front();
      order->pop_front();
    }
  }
  if (full) evict_one(victim);
}

void DiskCache::evict_one(uint64_t chunk) {
  std::unique_lock lock(stripes_[chunk % kStripes]);
  {
    auto order = order_.lock();
    mark(chunk, false);
  }
  ::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
              static_cast<off_t>(chunk * chunk_size_), chunk_size_);
}

}  // namespace images
