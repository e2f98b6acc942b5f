// Copies disks into a PointSink: reads what may have changed, hashes, and sends what the store
// lacks, on several threads with bounded memory: each holds the plaintext of one batch, at most 1
// MiB, and one encoded chunk.
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
  uint64_t bytes_done = 0;   // of them processed: read, known to be zero, or unchanged
  uint64_t bytes_read = 0;
  uint64_t bytes_sent = 0;
};

struct CopyOptions {
  // Number of threads that have a processor, 1 to 14. Two more run, so that some wait for the
  // source or the sink while these hash and compress.
  uint32_t thread_count = 2;
  int compression_level = 1;  // zstd
  // Called on the calling thread about four times a second, and once at the end. May be empty; what
  // it throws ends the copy.
  std::function<void(const CopyProgress&)> on_progress;
  std::stop_token stop;
  // Called before each batch with the bytes about to be read; may block to enforce a rate limit.
  // May be empty.
  std::function<void(uint64_t)> throttle;
};

// sources[i] is disk i of `plan`, the plan the sink was created with; all must outlive the call. An
// `unchanged` extent is not sent: the disk must have a base. Chunk alignment is handled here: a
// chunk that has changed in part is read whole. Batches may have no places. Throws what a source or
// the sink throws, and cancelled when asked to stop; all threads have ended then. Does not commit.
CopyProgress copy_disks(const SyncPlan& plan, const std::vector<DiskSource*>& sources,
                        PointSink& sink, const CopyOptions& options);

}  // namespace images
