// Keeps what running syncs rely on from being freed. A sync that was told "the store has it" about
// a chunk that no point refers to (from an unfinished sync) records it here. A chunk that loses its
// last reference later is protected by its epoch: such a chunk is not freed while a sync that began
// before is running. Thread-safe.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <set>
#include <shared_mutex>
#include <unordered_set>

#include "base/guarded.h"
#include "images/ids.h"

namespace images {

class SyncPins {
 public:
  // Beyond this number a sync pins everything: at most 16 MiB of memory.
  static constexpr size_t kMaxPinned = 1u << 20;

  explicit SyncPins(uint32_t epoch) : epoch_(epoch) {}

  uint32_t epoch() const { return epoch_; }

  void pin(const ChunkId& id) {
    auto state = state_.lock();
    if (state->everything) return;
    state->ids.insert(std::hash<ChunkId>{}(id));
    if (state->ids.size() < kMaxPinned) return;
    state->everything = true;
    state->ids.clear();
  }

  bool pins(const ChunkId& id) {
    auto state = state_.lock();
    return state->everything || state->ids.count(std::hash<ChunkId>{}(id)) != 0;
  }

 private:
  struct State {
    std::unordered_set<size_t> ids;
    bool everything = false;
  };
  uint32_t epoch_;
  base::Guarded<State> state_;
};

// The running syncs of one store.
class SyncRegistry {
 public:
  // A sync holds this shared while it looks up chunks and pins them; compaction holds it
  // exclusively while it frees.
  std::shared_mutex freeing;

  // The sync counts as running as long as the returned object lives. The registry must outlive it.
  std::shared_ptr<SyncPins> start(uint32_t epoch) {
    auto pins = std::make_unique<SyncPins>(epoch);
    running_.lock()->insert(pins.get());
    return {pins.release(), [this](SyncPins* ended) {
              running_.lock()->erase(ended);
              delete ended;
            }};
  }

  // The epoch of the oldest running sync; the largest number if none is running.
  uint32_t oldest_epoch() {
    uint32_t oldest = std::numeric_limits<uint32_t>::max();
    auto running = running_.lock();
    for (SyncPins* pins : *running) oldest = std::min(oldest, pins->epoch());
    return oldest;
  }
  bool pins(const ChunkId& id) {
    auto running = running_.lock();
    for (SyncPins* pins : *running) {
      if (pins->pins(id)) return true;
    }
    return false;
  }

 private:
  base::Guarded<std::set<SyncPins*>> running_;
};

}  // namespace images
