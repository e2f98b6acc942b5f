// A StoreSink that keeps every disk as plain bytes, and checks that the engine keeps the sink's
// rules. Thread-safe.
#pragma once

#include <map>
#include <set>
#include <unordered_map>

#include "base/guarded.h"
#include "images/point_sink.h"

namespace images {

struct ModelDisk {
  PlannedDisk planned;
  base::Bytes content;  // the base's where there is one, else zeros
};

class ModelSink : public StoreSink {
 public:
  ModelSink(std::vector<ModelDisk> disks, uint32_t chunk_size) : hasher_(chunk_size) {
    auto state = state_.lock();
    state->disks = std::move(disks);
    state->ends.resize(state->disks.size());
  }

  const ChunkHasher& hasher() const override { return hasher_; }
  std::vector<bool> lacking(std::span<const PlacedChunk> places) override;
  void send(const Batch& batch, const std::function<EncodedChunk(size_t)>& encode) override;
  SinkProgress progress() const override;
  PointId commit(const PointDetails& details) override;

  const base::Bytes& content(size_t disk) { return state_.lock()->disks[disk].content; }
  uint64_t encoded_chunk_count() { return state_.lock()->encoded; }
  // Every rule that was broken, in words.
  std::vector<std::string> broken_rules() { return state_.lock()->broken; }
  // Called in every send(), outside the lock.
  std::function<void(const Batch&)> on_send;

 private:
  struct State {
    std::vector<ModelDisk> disks;
    std::unordered_map<ChunkId, base::Bytes> chunks;
    // Per disk and batch: the first chunk and the one after the last, to check the order of
    // batches.
    std::vector<std::map<uint64_t, std::pair<uint64_t, uint64_t>>> ends;
    std::set<uint64_t> sequences;
    uint64_t smallest_missing = 0;
    uint64_t bytes_sent = 0;
    uint64_t encoded = 0;
    std::vector<std::string> broken;
  };

  void check_order(State& state, const Batch& batch);
  void place(State& state, const Batch& batch, const PlacedChunk& chunk);

  ChunkHasher hasher_;
  mutable base::Guarded<State> state_;
};

// A chunk's plaintext.
base::Bytes decode(const EncodedChunk& chunk, uint32_t chunk_size);

}  // namespace images
