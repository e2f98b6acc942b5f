// Reads what an earlier boot of the machine has read, in the same order, ahead of the guest, into
// the readers' cache.
//
// How far ahead: at most `window_chunks` beyond the furthest place of the trace that the guest has
// reached, so that the cache never drops what was not used yet, and a guest that boots differently
// costs no more than one window. How much at once: a few threads, each with one chunk in progress;
// the guest's own reads run beside them, and a read of a chunk in progress waits for it instead of
// reading it twice (DiskReader::prefetch). Thread-safe.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/guarded.h"
#include "images/disk_reader.h"
#include "images/format/boot_trace_format.h"

namespace images {

struct PrefetchLimits {
  uint32_t thread_count = 4;
  uint64_t window_chunks = 512;
};

class Prefetcher {
 public:
  // `disks` in the order in which touch() numbers them. Entries of unknown disks, or beyond their
  // ends, are skipped. Starts at once.
  Prefetcher(const BootTrace& trace, std::vector<std::shared_ptr<DiskReader>> disks,
             const PrefetchLimits& limits = {});
  ~Prefetcher();  // waits for the chunks in progress

  // The guest has requested `length` bytes at `offset` of disk number `disk`.
  void touch(uint16_t disk, uint64_t offset, uint64_t length);

 private:
  struct Place {
    uint16_t disk = 0;
    uint64_t chunk = 0;
  };
  struct State {
    size_t next = 0;   // of places_
    size_t reach = 0;  // the guest has reached this place
    bool stopping = false;
  };

  void run();

  const uint32_t chunk_size_;
  const PrefetchLimits limits_;
  const std::vector<std::shared_ptr<DiskReader>> disks_;
  std::vector<Place> places_;                                   // written by the constructor
  std::vector<std::unordered_map<uint64_t, size_t>> place_of_;  // chunk → place, for each disk
  base::Guarded<State> state_;
  std::condition_variable changed_;  // with state_: reach, stopping
  std::vector<std::thread> threads_;
};

}  // namespace images
