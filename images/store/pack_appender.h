// Appends records to packs and enters them into the index. There is one per store; all its syncs
// share the open pack, a batch at a time, so that concurrent syncs of similar disks store an equal
// chunk once.
//
// The path of a record: append() → into the open pack's buffer and the table of pending records →
// into its file → the pack is flushed (for a commit) or closed (it is full): fsync, including its
// folders → an index transaction that lists its records without references, for one flush or for
// several full packs; until then they stay pending. The thread that fills the buffer writes it, and
// the thread that fills a pack closes it, while others continue; there is at most one write and one
// close at a time. What a kill leaves out of the index is found again when the store is opened.
// After a failed write the pack is abandoned: what was flushed stays, the rest is truncated (bytes
// whose fsync failed must not be taken for durable later) and dropped, and syncs that relied on it
// learn it from failure_count(). Thread-safe.
#pragma once

#include <condition_variable>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/direct_writer.h"
#include "base/guarded.h"
#include "images/store/index/chunk_index.h"
#include "images/store/place/store_place.h"
#include "images/store/record_codec.h"

namespace images {

class PackAppender {
 public:
  // `pack_size`: the bytes at which a pack is sealed. All references must outlive it; packs are
  // started as long as `lease`, the writer's, is held.
  PackAppender(StorePlace& place, const Lease& lease, const format::StoreParameters& parameters,
               ChunkIndex& index, uint64_t pack_size)
      : blobs_(place.blobs()), packs_(place.packs()), lease_(lease), parameters_(parameters),
        index_(index), pack_size_(pack_size) {}
  // Seals the open pack; failures are left to the next opening of the store, which also seals it.
  ~PackAppender();

  bool is_pending(const ChunkId& id);

  // Returns how many bytes this added; a record whose id is already pending is skipped. Throws
  // no_space, io: then the caller must not rely on any of these records.
  uint64_t append(std::span<const Record> records);

  // All records appended before are durable and in the index when it returns. Throws as append().
  void flush();

  // Increases when pending records were lost.
  uint64_t failure_count();

  // Flushes, and seals the open pack with its directory.
  void seal();

 private:
  struct OpenPack {
    PackId id;
    uint32_t number = 0;  // its row in the index, once it has one
    std::unique_ptr<PackWriter> writer;
    std::unique_ptr<base::BlockBuffer> buffer;  // bytes not given to the writer yet
    std::vector<format::DirectoryEntry> directory;
    size_t flushed_count = 0;   // entries of the directory that are in the index
    uint64_t flushed_size = 0;  // the same in bytes of the pack
    uint64_t size = 0;          // bytes of the writer plus those still to be written
  };
  // Work that fill() leaves to its caller, to be done without the lock.
  struct Work {
    std::optional<OpenPack> full;  // to be closed
    // Its whole blocks are to be given to `writer`, the open pack's, which stays valid while
    // State::writing.
    std::unique_ptr<base::BlockBuffer> buffer;
    PackWriter* writer = nullptr;
  };
  struct State {
    std::optional<OpenPack> pack;
    std::vector<std::unique_ptr<base::BlockBuffer>> spare;
    std::unordered_set<ChunkId> pending;  // records of the open pack that are not in the index yet
    bool writing = false;                 // a part of the open pack is being written to its file
    bool closing = false;                 // a full pack is being closed
    // Full packs that are durable and not in the index yet: several are indexed at once, since each
    // transaction writes nearly every page of the index.
    std::vector<OpenPack> sealed;
    // The records of `sealed` and of the pack being closed.
    std::unordered_set<ChunkId> closing_pending;
    uint64_t failure_count = 0;

    bool has_pending(const ChunkId& id) const {
      return pending.contains(id) || closing_pending.contains(id);
    }
    bool is_full(uint64_t added, uint64_t pack_size) const {
      return pack && pack->size + added > pack_size;
    }
  };
  using LockedState = base::Guarded<State>::Locked;

  std::optional<Work> fill(std::span<const Record> records, size_t& next, uint64_t& added);
  static Work take_blocks(State& state);
  void write(Work work);
  void close(OpenPack pack);
  LockedState lock_when_idle();
  void start_pack(State& state);
  static std::unique_ptr<base::BlockBuffer> take_buffer(State& state);
  static void write_buffer(OpenPack& pack);
  void end_pack(OpenPack& pack);
  void persist(State& state, bool at_end);
  static void forget(State& state, const OpenPack& pack);
  void list_in_index(std::vector<OpenPack>& sealed, OpenPack* open, bool open_is_sealed);
  static uint32_t list_pack(IndexTransaction& transaction, const OpenPack& pack, bool is_sealed);
  void abandon_pack(State& state);
  void truncate_to_flushed(OpenPack& pack);

  BlobStore& blobs_;
  PackStore& packs_;
  const Lease& lease_;
  format::StoreParameters parameters_;
  ChunkIndex& index_;
  uint64_t pack_size_;
  // Held while records are put into the buffer: their order in the pack is that of the calls. Not
  // held while one thread writes what is buffered, or closes a full pack.
  base::Guarded<State> state_;
  std::condition_variable idle_;  // `writing` or `closing` ended
};

// Enters the record at `entry` into the index, in an open write transaction: a new chunk without
// references, or a new place for one that was missing or damaged. An entry that is present and
// intact stays as it is.
void list_record(IndexTransaction& transaction, const format::DirectoryEntry& record,
                 uint32_t pack_number, uint32_t epoch);

// The tail of a sealed pack: directory record and footer. `entries` lists the records before it.
base::Bytes encode_pack_tail(uint64_t offset, const std::vector<format::DirectoryEntry>& entries);

}  // namespace images
