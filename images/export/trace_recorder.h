// Records which chunks a booting guest reads first, and in which order, until the boot is over;
// then writes one boot trace, durably.
//
// The boot is over when the file PATH.end appears (created by whatever knows that the guest is up),
// when nothing new was read for 30 s, after 5 minutes, at BootTrace::kMaxEntries chunks, or when
// finish() is called. Afterwards touch() costs one load of a flag. Thread-safe; has a thread of its
// own.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "base/file_system.h"
#include "base/guarded.h"
#include "images/format/boot_trace_format.h"

namespace images {

struct TraceLimits {
  std::chrono::milliseconds quiet = std::chrono::seconds(30);
  std::chrono::milliseconds duration = std::chrono::minutes(5);
  size_t entry_count = BootTrace::kMaxEntries;
  std::chrono::milliseconds look_every = std::chrono::milliseconds(250);
};

class TraceRecorder {
 public:
  // `path` is replaced at the end of the recording; nothing is written if nothing was read.
  TraceRecorder(base::FileSystem& files, std::string path, uint32_t chunk_size,
                std::vector<std::string> disks, const TraceLimits& limits = {});
  ~TraceRecorder();  // as finish()

  // `length` bytes at `offset` of disk number `disk` were requested.
  void touch(uint16_t disk, uint64_t offset, uint64_t length) {
    if (recording_.load(std::memory_order_relaxed)) record(disk, offset, length);
  }

  // Ends the recording if it is running. The trace is durable when it returns. Never throws: a
  // trace that cannot be written is dropped.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  struct State {
    BootTrace trace;
    std::vector<std::unordered_set<uint64_t>> touched;  // for each disk
    Clock::time_point first_touch, last_new_touch;
    bool is_over = false;
  };

  void record(uint16_t disk, uint64_t offset, uint64_t length);
  void watch();
  bool is_past_limits(const State& state) const;

  base::FileSystem& files_;
  const std::string path_;
  const TraceLimits limits_;
  std::atomic<bool> recording_{true};
  base::Guarded<State> state_;
  std::condition_variable changed_;  // with state_: is_over
  std::thread thread_;
};

// The file whose appearance ends the recording of `path`.
std::string trace_end_path(const std::string& path);

}  // namespace images
