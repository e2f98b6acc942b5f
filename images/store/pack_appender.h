// Appends records to packs and tells the index of them. One for a store; all its syncs share the
// pack that is open, a batch at a time, so that concurrent syncs of similar disks store an equal
// chunk once.
//
// A record goes: append() → in the open pack's buffer and the table of pending records → its file →
// the pack is flushed (a commit asks) or closed (it is full): fsync, of its folders, too → an index
// transaction that lists its records without references, for one flush or for several full packs;
// until then they stay pending. Who fills the buffer writes it, and who fills a pack closes it,
// while others go on; there is one of each at a time. What a kill leaves out of the index is found
// again when the store is opened. After a failed write the pack is given up: what was flushed
// stays, the rest is cut off (bytes whose fsync failed must not be taken for durable later) and
// forgotten, and syncs that relied on it learn it from failure_count(). Thread-safe.
#pragma once

#include <condition_variable>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/direct_writer.h"
#include "base/file_place.h"
#include "base/file_system.h"
#include "base/guarded.h"
#include "images/store/index/chunk_index.h"
#include "images/store/layout.h"
#include "images/store/record_codec.h"

namespace images {

class PackAppender {
 public:
  static constexpr uint64_t kPackSize = 64u << 20;

  PackAppender(base::FileSystem& files, std::string store,
               const format::StoreParameters& parameters, ChunkIndex& index,
               uint64_t pack_size = kPackSize)
      : files_(files), store_(std::move(store)), place_(layout::writer_lock(store_)),
        parameters_(parameters), index_(index), pack_size_(pack_size) {}
  // Seals the open pack; failures are left to the next opening of the store, which seals it too.
  ~PackAppender();

  bool is_pending(const ChunkId& id);

  // Returns how many bytes this added; a record whose id is pending already is passed over.
  // Throws no_space, io: who called must not rely on any of these records then.
  uint64_t append(std::span<const Record> records);

  // All records appended before are durable and in the index when it returns. Throws as append().
  void flush();

  // Goes up when pending records were lost.
  uint64_t failure_count();

  // Flushes, and ends the open pack with its directory.
  void seal();

 private:
  struct OpenPack {
    PackId id;
    uint32_t number = 0;  // its row in the index, once it has one
    std::unique_ptr<base::WritableFile> file;
    std::unique_ptr<base::BlockBuffer> buffer;  // bytes not written to the file yet
    bool is_entered = false;                    // its folders know it, durably
    std::vector<format::DirectoryEntry> directory;
    size_t flushed_count = 0;   // of the directory, that the index knows
    uint64_t flushed_size = 0;  // of the file, likewise
    uint64_t size = 0;          // bytes of the file and of those still to be written
  };
  // What fill() leaves to its caller, to be done without the lock.
  struct Work {
    std::optional<OpenPack> full;  // to be closed
    // Its whole blocks are to be written to `file`, the open pack's, which stays while
    // State::writing.
    std::unique_ptr<base::BlockBuffer> buffer;
    base::WritableFile* file = nullptr;
  };
  struct State {
    std::optional<OpenPack> pack;
    std::vector<std::unique_ptr<base::BlockBuffer>> spare;
    std::unordered_set<ChunkId> pending;  // the open pack's that the index does not know yet
    bool writing = false;                 // a part of the open pack is on its way to its file
    bool closing = false;                 // so is a full pack to its end
    // Full packs that are durable, and that the index does not know yet: it learns of several at
    // once, since each time costs it a write for nearly every page that it has.
    std::vector<OpenPack> sealed;
    std::unordered_set<ChunkId> closing_pending;  // the records of `sealed` and of that on its way
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
  LockedState lock_when_quiet();
  void start_pack(State& state);
  static std::unique_ptr<base::BlockBuffer> take_buffer(State& state);
  static void write_buffer(OpenPack& pack);
  void make_durable(OpenPack& pack);
  void end_file(OpenPack& pack);
  void settle(State& state, bool at_end);
  static void forget(State& state, const OpenPack& pack);
  void list_in_index(std::vector<OpenPack>& sealed, OpenPack* open, bool open_is_sealed);
  static uint32_t list_pack(IndexTransaction& transaction, const OpenPack& pack, bool is_sealed);
  void give_up(State& state);
  void cut_off(OpenPack& pack);

  base::FileSystem& files_;
  std::string store_;
  const base::FilePlace place_;
  format::StoreParameters parameters_;
  ChunkIndex& index_;
  uint64_t pack_size_;
  // Held while records are put into the buffer: their order in the pack is that of the calls. Not
  // held while one thread writes what has gathered, or closes a full pack.
  base::Guarded<State> state_;
  std::condition_variable quieter_;  // `writing` or `closing` ended
};

// Puts a record that lies at `entry` into the index, in an open write transaction: a new chunk
// without references, or a new place for one that was missing or damaged. One that is present stays
// as it is.
void list_record(IndexTransaction& transaction, const format::DirectoryEntry& record,
                 uint32_t pack_number, uint32_t epoch);

// The tail of a sealed pack: directory record and footer. `entries` lists the records before it.
base::Bytes encode_pack_tail(uint64_t offset, const std::vector<format::DirectoryEntry>& entries);

}  // namespace images
