// Copies disks into a PointSink: reads what may have changed, hashes, and sends what the store
// lacks, on several threads with bounded memory: each holds one batch in plain, at most 1 MiB, and
// one chunk encoded.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <vector>

#include "images/disk_source.h"
#include "images/point_sink.h"

namespace images {

struct CopyProgress {
  uint64_t bytes_total = 0;  // of all disks
  uint64_t bytes_done = 0;   // of them dealt with: read, known to be zero, or unchanged
  uint64_t bytes_read = 0;
  uint64_t bytes_sent = 0;
};

struct CopyOptions {
  // Threads there are processors for, 1 to 14. Two more run, so that some wait for the source or
  // the sink while these hash and compress.
  uint32_t thread_count = 2;
  int compression_level = 1;  // zstd
  // Called on the calling thread about four times a second, and once at the end. May be empty; what
  // it throws ends the copy.
  std::function<void(const CopyProgress&)> on_progress;
  std::stop_token stop;
  // Asked before each batch with its bytes to be read; blocks to keep a bandwidth limit. May be
  // empty.
  std::function<void(uint64_t)> throttle;
};

// sources[i] is disk i of `plan`, the plan the sink was made with; all must outlive the call. An
// `unchanged` extent is not sent: the disk must have a base. Chunk alignment is dealt with here: a
// chunk that is changed in part is read whole. Batches may be empty of places. Throws what a source
// or the sink throws, and cancelled when asked to stop; all threads have ended then. Does not
// commit.
CopyProgress copy_disks(const SyncPlan& plan, const std::vector<DiskSource*>& sources,
                        PointSink& sink, const CopyOptions& options);

}  // namespace images
