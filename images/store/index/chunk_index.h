// The index of a store: where each chunk is, how many runs of points refer to it, which points
// exist. Derived data: rebuild_index() rebuilds it from packs and manifests. An LMDB environment,
// hidden behind index_environment.h.
//
// Thread-safety: a ChunkIndex may be used by any number of threads and processes, a transaction by
// one thread. There is one write transaction at a time among all processes (LMDB waits). Readers
// never wait for the writer. Errors: base::Error; no_space when the disk is full; corrupt when LMDB
// or an entry's checksum says so.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "images/format/index_format.h"
#include "images/ids.h"

namespace images {

class IndexTransaction {
 public:
  virtual ~IndexTransaction() = default;

  // Pack numbers are specific to one index; the value differs after a rebuild made another index.
  virtual uint64_t incarnation() = 0;

  virtual std::optional<ChunkEntry> find_chunk(const ChunkId& id) = 0;
  virtual uint64_t chunk_count() = 0;  // entries, including nodes
  virtual std::optional<PackEntry> find_pack(uint32_t number) = 0;
  virtual void for_each_pack(const std::function<void(uint32_t, const PackEntry&)>& visit) = 0;
  virtual void for_each_chunk(
      const std::function<void(const ChunkId&, const ChunkEntry&)>& visit) = 0;

  virtual std::optional<format::PublicManifest> find_point(const PointId& id) = 0;
  // Oldest first within a machine.
  virtual void for_each_point(const std::function<void(const format::PublicManifest&)>& visit) = 0;
  virtual std::vector<format::PublicManifest> points_of(const MachineId& machine) = 0;
  // The points right before and after a place on a machine's timeline; `id` itself is skipped.
  virtual std::optional<format::PublicManifest> point_before(
      const format::PublicManifest& place) = 0;
  virtual std::optional<format::PublicManifest> point_after(
      const format::PublicManifest& place) = 0;
  // Ids that begin with these hexadecimal digits, at most `limit`.
  virtual std::vector<PointId> points_with_prefix(const std::string& digits, size_t limit) = 0;

  // The change being counted: some of its references may be counted already.
  virtual std::optional<TimelineChange> pending_change() = 0;
  // Removed points whose references have not been subtracted yet, in the order of removal: number
  // and change, at most `limit`.
  virtual std::vector<std::pair<uint64_t, TimelineChange>> departures(size_t limit) = 0;
  virtual uint64_t departure_count() = 0;
  virtual uint64_t number(const char* name,
                          uint64_t fallback) = 0;  // named numbers: "epoch", "recount"

  // The following are allowed only in a write transaction. Nothing is visible or durable before
  // commit().
  virtual void put_chunk(const ChunkId& id, const ChunkEntry& entry) = 0;
  virtual void erase_chunk(const ChunkId& id) = 0;
  // Returns its number; numbers are never reused.
  virtual uint32_t add_pack(const PackEntry& entry) = 0;
  virtual void put_pack(uint32_t number, const PackEntry& entry) = 0;
  virtual void erase_pack(uint32_t number) = 0;
  virtual void put_point(const format::PublicManifest& point) = 0;
  virtual void erase_point(const format::PublicManifest& point) = 0;
  virtual void set_pending_change(const std::optional<TimelineChange>& change) = 0;
  virtual void add_departure(const TimelineChange& change) = 0;  // after the others
  virtual void erase_departure(uint64_t number) = 0;
  virtual void set_number(const char* name, uint64_t value) = 0;
  virtual void commit() = 0;
};

class ChunkIndex {
 public:
  // Opens the index in an existing folder, or creates an empty one there if `create`. Within one
  // process all openings of one folder share one environment. Throws not_found, corrupt (also for
  // another store's index).
  static std::unique_ptr<ChunkIndex> open(const std::string& directory, const StoreId& store,
                                          bool create);
  // Opens an index that nothing else in this process has open, or will open during its lifetime.
  static std::unique_ptr<ChunkIndex> open_alone(const std::string& directory, const StoreId& store);
  virtual ~ChunkIndex() = default;

  virtual std::unique_ptr<IndexTransaction> read() = 0;
  virtual std::unique_ptr<IndexTransaction> write() = 0;

  // True if a rebuild has replaced this index; later transactions read the new one. An old one can
  // still be read, but does not learn of what moves.
  virtual bool refresh() = 0;
};

// Whether every page and entry of the index there can be read: walked by a helper process, since a
// damaged database may crash its reader. Also false if there is none.
bool index_is_whole(const std::string& directory, const StoreId& store);

// A mark that the last writer closed the index cleanly, so that the next one need not walk it. It
// contains the file's inode, size and time, so that it does not apply to another file. Taking it
// removes it durably, and returns whether it was there and matches.
void leave_clean_mark(const std::string& directory);
bool take_clean_mark(const std::string& directory);

// Removes the files of the index there, if there are any. Its readers can continue to read; see
// refresh().
void remove_index(const std::string& directory);

}  // namespace images
