// Where a worker reads, hashes and encodes one unit of a disk: a buffer and an encoder. All syncs
// of a process share them, and the one used last is used next: with a buffer for each of many
// workers every unit would begin with cold caches (docs/performance.md, "Where the time goes").
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/guarded.h"
#include "images/codec.h"

namespace images {

class Workspace {
 public:
  Workspace(int compression_level, uint64_t size);
  uint8_t* buffer() { return buffer_.get(); }
  ChunkEncoder& encoder() { return encoder_; }
  bool fits(int compression_level, uint64_t size) const {
    return compression_level == compression_level_ && size <= size_;
  }

 private:
  int compression_level_;
  uint64_t size_;
  ChunkEncoder encoder_;
  std::unique_ptr<uint8_t[]> buffer_;
};

// Thread-safe.
class Workspaces {
 public:
  // The process's shared instance.
  static Workspaces& shared();

  Workspaces(uint32_t limit, std::chrono::milliseconds patience)
      : limit_(limit), patience_(patience), state_(State{{}, 0, limit, 0}) {}

  // `size` is the buffer's, in bytes. Never null. Waits while `limit` are in use. If none is
  // returned for `patience`, their users wait for a disk or a network, and must not keep others
  // from working: there is one more until they have been returned. Throws invalid_argument for an
  // invalid level.
  std::unique_ptr<Workspace> take(int compression_level, uint64_t size);
  void give_back(std::unique_ptr<Workspace> workspace);

 private:
  struct State {
    std::vector<std::unique_ptr<Workspace>> free;
    uint32_t in_use = 0;
    uint32_t limit = 0;  // more than the first one while some are not returned
    uint64_t returned_count = 0;
  };

  const uint32_t limit_;
  const std::chrono::milliseconds patience_;
  base::Guarded<State> state_;
  std::condition_variable returned_;
};

}  // namespace images
