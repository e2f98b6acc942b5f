// Copies disks into a PointSink: reads what may have changed, hashes, and sends what the store lacks,
// on several threads with bounded memory (threads × one batch of 64 chunks, twice: plain and encoded).
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <vector>

#include "images/disk_source.h"
#include "images/point_sink.h"

namespace images {

struct CopyProgress {
  uint64_t bytes_total = 0;    // of all disks
  uint64_t bytes_done = 0;     // of them dealt with: read, known to be zero, or unchanged
  uint64_t bytes_read = 0;
  uint64_t bytes_sent = 0;
};

struct CopyOptions {
  uint32_t thread_count = 2;
  int compression_level = 1;  // zstd
  // Called from one thread at a time, about four times a second, and once at the end. May be empty.
  std::function<void(const CopyProgress&)> on_progress;
  std::stop_token stop;
  // Asked before each batch with its bytes to be read; blocks to keep a bandwidth limit. May be empty.
  std::function<void(uint64_t)> throttle;
};

// sources[i] is disk i of the sink's plan; all must outlive the call. An `unchanged` extent is not sent:
// the disk must have a base. Chunk alignment is dealt with here: a chunk that is changed in part is read
// whole. Throws what a source or the sink throws, and cancelled when asked to stop; all threads have ended
// then. Does not commit.
CopyProgress copy_disks(const std::vector<DiskSource*>& sources, PointSink& sink, const CopyOptions& options);

}  // namespace images
