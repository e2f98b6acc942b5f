// Two small files by which `muletto-agent run` and the syncs it starts communicate: the rate a sync
// may use, and its progress. Written as a whole, read as a whole; an incomplete one is read again
// later.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "agent/rate_limit.h"

namespace agent {

struct SyncPosition {
  uint64_t done = 0;   // bytes
  uint64_t total = 0;  // bytes
};

void write_rate_file(const std::string& path, uint64_t rate);  // 0: no limit
std::optional<SyncPosition> read_position_file(const std::string& path);

// Keeps a limit at the value in the file, which is read at most once a second. Used by one thread
// at a time.
class RateFollower {
 public:
  RateFollower(std::string path, RateLimit& limit);
  void look();

 private:
  std::string path_;
  RateLimit& limit_;
  std::chrono::steady_clock::time_point looked_{};
};

// Writes the file at most twice a second. Used by one thread. Failures are ignored: no data depends
// on it.
class PositionFile {
 public:
  explicit PositionFile(std::string path) : path_(std::move(path)) {}
  void show(const SyncPosition& position);

 private:
  std::string path_;
  std::chrono::steady_clock::time_point shown_{};
};

}  // namespace agent
