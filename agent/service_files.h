// The sync's side of the two files by which it communicates with the process that started it
// (agent/orders/sync_files.h).
#pragma once

#include <chrono>
#include <string>

#include "agent/orders/sync_files.h"
#include "base/rate_limit.h"

namespace agent {

// Keeps a limit at the value in the file, which is read at most once a second. Used by one thread
// at a time.
class RateFollower {
 public:
  RateFollower(std::string path, base::RateLimit& limit);
  void look();

 private:
  std::string path_;
  base::RateLimit& limit_;
  std::chrono::steady_clock::time_point looked_{};
};

// Writes the file at most twice a second. Used by one thread. Failures are ignored: no data depends
// on it.
class PositionFile {
 public:
  explicit PositionFile(std::string path) : path_(std::move(path)) {}
  void show(const orders::SyncPosition& position);

 private:
  std::string path_;
  std::chrono::steady_clock::time_point shown_{};
};

}  // namespace agent
