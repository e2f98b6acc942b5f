// Writes a disk of a point as raw bytes, with several threads, at the speed of decompression.
// Thread-safe: it has no state.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>

#include "images/disk_reader.h"

namespace restore {

struct RestoreProgress {
  uint64_t bytes_total = 0;    // of the disk
  uint64_t bytes_done = 0;     // of them processed
  uint64_t bytes_written = 0;  // of them not zero
};
// Called from one thread at a time, a few times a second, and once at the end. May be empty.
using ProgressCallback = std::function<void(const RestoreProgress&)>;

enum class ZeroHandling {
  skip,   // the target reads as zeros already: a new file
  write,  // the target holds old bytes: a block device
};

struct RawOptions {
  uint32_t thread_count = 2;
  ZeroHandling zeros = ZeroHandling::skip;
  ProgressCallback on_progress;
  std::stop_token stop;
};

// Writes the whole disk to `fd`, which is at least as large. Not durable before the caller's fsync.
// Throws no_space, io, corrupt (naming the damaged place), cancelled; all threads have ended then,
// and the target holds any part of the disk.
RestoreProgress write_raw(images::DiskReader& disk, int fd, const RawOptions& options);

}  // namespace restore
