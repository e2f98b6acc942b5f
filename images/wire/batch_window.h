// The receiver's bookkeeping of one transfer: which batches were offered, which chunks may be sent
// now, what arrived, and what can be stored. Pure state, no I/O. Not thread-safe.
//
// A batch goes through: offer() → set_lacking() → a Need is granted by advance() → told() →
// receive() for each wanted chunk → complete, given out by advance() → take() → finish().
//
// Memory. What was asked for is what must be held: a Need is granted only while the chunks asked
// for and not yet stored stay below the limit, counted as plaintext. One batch is always granted,
// so the transfer moves however small the limit. Grants are given to the smallest sequence first
// and never withdrawn.
//
// No chunk twice. A chunk that two batches bring is asked for in the first alone: the second one
// waits until the first is stored. Batches wait only for batches that were granted before them, so
// there is no circle. A lookup in the store may be older than a batch finished meanwhile; so the
// ids of finished batches are remembered until every batch that was offered before that has been
// granted.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <unordered_map>
#include <vector>

#include "images/point_sink.h"
#include "images/wire/transfer_format.h"

namespace images {

// No batch may hold more non-zero plaintext, whatever the chunk size. Bytes.
constexpr uint64_t kMaxBatchSize = 64ull << 20;

// A chunk as it was sent.
struct ReceivedChunk {
  Codec codec = Codec::raw;
  base::Bytes bytes;
};

// A batch with the chunks that were sent for it.
struct ReceivedBatch {
  Batch batch;
  std::vector<ReceivedChunk> chunks;  // one a place; without bytes where none was asked for
};

class BatchWindow {
 public:
  // All sizes in bytes. `disk_sizes` as in the plan.
  BatchWindow(const std::vector<uint64_t>& disk_sizes, uint32_t chunk_size, uint64_t byte_limit);

  // A batch the peer offers. Throws invalid_argument if its sequence is a duplicate or out of the
  // window, or its places are not what a batch may have.
  void offer(const Batch& batch);

  // What the store said about places[i] of an offered batch.
  void set_lacking(uint64_t sequence, const std::vector<bool>& lacking);

  // The peer was told what the batch needs. Not before that is a batch complete, even one that
  // needs nothing: else another thread could tell the peer that it is done first.
  void told(uint64_t sequence);

  // Keeps a chunk the peer sent. Throws invalid_argument unless it was asked for and had not come
  // yet, and corrupt if its size is impossible.
  void receive(const wire::Data& data);

  struct Steps {
    std::vector<wire::Need> needs;   // to be told to the peer
    std::vector<uint64_t> complete;  // batches to be stored
  };
  // What became possible since the last call. Each thing is given out once.
  Steps advance();

  // Moves a complete batch out.
  ReceivedBatch take(uint64_t sequence);
  // The batch that was taken is stored.
  void finish(uint64_t sequence);

  // Moves out what arrived of batches that were not taken: the places whose chunks are there. For
  // the end of a connection that broke; only destroying the window is allowed afterwards.
  std::vector<ReceivedBatch> salvage();

  // True if no batch is under way and none is missing between those that were.
  bool is_idle() const { return entries_.empty(); }
  uint64_t granted_size() const { return granted_size_; }  // bytes

 private:
  enum class State { offered, looked_up, granted, complete, finished };
  struct Entry {
    State state = State::offered;
    ReceivedBatch received;
    uint32_t disk = 0;
    uint64_t first = 0, end = 0;  // chunk numbers
    std::vector<bool> wanted;     // as the store said; from the grant on: what was asked for
    bool told = false;
    size_t missing = 0;           // chunks asked for that have not arrived
    uint64_t granted = 0;         // bytes
    std::vector<ChunkId> brings;  // what was asked for
    std::set<uint64_t> waits_for;
    uint64_t offered_as = 0;  // how many were offered before it
  };
  struct Retired {
    uint64_t offer_count = 0;  // when it finished
    std::vector<ChunkId> ids;
  };

  Entry& entry(uint64_t sequence, State expected);
  void check_places(const Batch& batch) const;
  void check_order(const Batch& batch) const;
  bool try_grant(uint64_t sequence, Entry& entry);
  void forget_retired();

  std::vector<uint64_t> chunk_counts_;  // of the disks
  std::vector<uint64_t> disk_ends_;     // where the batches below floor_ end
  uint32_t chunk_size_;
  uint64_t byte_limit_;
  uint64_t granted_size_ = 0;
  uint64_t floor_ = 0;  // every smaller sequence is finished
  uint64_t offer_count_ = 0;
  std::map<uint64_t, Entry> entries_;  // from floor_ on, at most kMaxBatchesInFlight
  std::unordered_map<ChunkId, uint64_t>
      bringers_;  // chunk → the granted or finished batch that brings it
  std::deque<Retired> retired_;
};

}  // namespace images
