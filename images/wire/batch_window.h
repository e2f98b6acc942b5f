// The receiver's bookkeeping of one transfer: which batches were offered, which chunks may be sent
// now, what arrived, and what can be stored. Pure state, no I/O. Not thread-safe.
//
// A batch goes through: offer() → set_lacking() → a Need is granted by advance() → need_sent() →
// receive() for each wanted chunk → complete, returned by advance() → take() → finish().
//
// Memory. Everything that was requested may have to be held: a Need is granted only while the
// chunks requested and not yet stored stay below the limit, counted as plaintext. One batch is
// always granted, so the transfer makes progress however small the limit. Grants are given to the
// smallest sequence first and never withdrawn.
//
// No chunk twice. A chunk that is in two batches is requested only in the first: the second one
// waits until the first is stored. Batches wait only for batches that were granted before them, so
// there is no cycle. A lookup in the store may be older than a batch finished meanwhile; so the ids
// of finished batches are remembered until every batch that was offered before has been granted.
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

// No batch may contain more non-zero plaintext, whatever the chunk size. Bytes.
constexpr uint64_t kMaxBatchSize = 64ull << 20;

// A chunk as it was sent.
struct ReceivedChunk {
  Codec codec = Codec::raw;
  base::Bytes bytes;
};

// A batch with the chunks that were sent for it.
struct ReceivedBatch {
  Batch batch;
  std::vector<ReceivedChunk> chunks;  // one per place; without bytes if it was not requested
};

class BatchWindow {
 public:
  // All sizes in bytes. `disk_sizes` as in the plan.
  BatchWindow(const std::vector<uint64_t>& disk_sizes, uint32_t chunk_size, uint64_t byte_limit);

  // The peer offers a batch. Throws invalid_argument if its sequence is a duplicate or outside the
  // window, or its places are not allowed.
  void offer(const Batch& batch);

  // The store's answer for places[i] of an offered batch.
  void set_lacking(uint64_t sequence, const std::vector<bool>& lacking);

  // The peer was told what the batch needs. A batch is not complete before that, even one that
  // needs nothing: otherwise another thread could tell the peer first that it is done.
  void need_sent(uint64_t sequence);

  // Keeps a chunk the peer sent. Throws invalid_argument unless it was requested and had not
  // arrived yet, and corrupt if its size is impossible.
  void receive(const wire::Data& data);

  struct Steps {
    std::vector<wire::Need> needs;   // to be sent to the peer
    std::vector<uint64_t> complete;  // batches to be stored
  };
  // What became possible since the last call. Each item is returned once.
  Steps advance();

  // Moves a complete batch out.
  ReceivedBatch take(uint64_t sequence);
  // The batch that was taken is stored.
  void finish(uint64_t sequence);

  // Moves out what arrived of batches that were not taken: the places whose chunks have arrived.
  // For the end of a broken connection; afterwards the window may only be destroyed.
  std::vector<ReceivedBatch> salvage();

  // True if no batch is in progress and none is missing between those that were.
  bool is_idle() const { return entries_.empty(); }
  uint64_t granted_size() const { return granted_size_; }  // bytes

 private:
  enum class State { offered, looked_up, granted, complete, finished };
  struct Entry {
    State state = State::offered;
    ReceivedBatch received;
    uint32_t disk = 0;
    uint64_t first = 0, end = 0;  // chunk numbers
    std::vector<bool> wanted;     // as the store said; after the grant: what was requested
    bool need_sent = false;
    size_t missing = 0;             // requested chunks that have not arrived
    uint64_t granted = 0;           // bytes
    std::vector<ChunkId> provides;  // what was requested
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
  // Chunk → the granted or finished batch that provides it.
  std::unordered_map<ChunkId, uint64_t> provider_of_;
  std::deque<Retired> retired_;
};

}  // namespace images
