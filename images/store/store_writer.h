// Writes a store: adds points, deletes points, compacts, repairs. One writer per store, guarded by
// a lock: a second one gets busy. Thread-safe: any number of syncs, deletions and one compaction at
// a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/file_system.h"
#include "images/point_sink.h"
#include "images/store/place/store_place.h"
#include "images/store/store_key.h"
#include "images/store/store_reader.h"

namespace images {

// What a new store gets; every other place asks the store that it works on.
constexpr uint32_t kDefaultChunkSize = 65536;

struct InitOptions {
  uint32_t chunk_size = kDefaultChunkSize;  // bytes, a power of two, 4 KiB to 1 MiB
  KeySource key;                            // not empty: the store is encrypted
  uint32_t scrypt_log2_n = 16;
};

// Each function that takes a place exists for a directory of a file system, too, which must outlive
// what is opened there.

// Creates a store in a new or empty place; durable when it returns. Throws already_exists.
void init_store(StorePlace& place, const InitOptions& options = {});
void init_store(base::FileSystem& files, const std::string& directory,
                const InitOptions& options = {});

struct StoreFigures {
  uint64_t machine_count = 0;
  uint64_t point_count = 0;
  uint64_t logical_size = 0;  // bytes of all disks of all points
  uint64_t chunk_count = 0;   // distinct, live
  uint64_t live_size = 0;     // stored bytes that points need
  uint64_t pack_size = 0;     // bytes of all packs
  uint64_t pack_count = 0;
};

struct CompactOptions {
  double rewrite_below = 0.7;  // packs with a smaller share of live bytes are rewritten
  std::stop_token stop;
};
struct CompactResult {
  uint64_t packs_rewritten = 0;
  uint64_t bytes_freed = 0;
};

struct CheckOptions {
  bool deep = false;  // also decode every chunk and compare its hash (needs the key)
  std::function<void(uint64_t done, uint64_t total)> on_progress;  // bytes of packs
  std::stop_token stop;
};

struct CheckReport {
  uint64_t packs_checked = 0;
  uint64_t chunks_checked = 0;
  uint64_t points_checked = 0;
  std::vector<std::string> problems;  // sentences
  std::vector<PointSummary> damaged;  // the points affected by damage
  bool good() const { return problems.empty(); }
};

// Tests use small values, so that little data crosses every boundary.
struct WriterLimits {
  uint64_t pack_size = 64u << 20;  // bytes at which a pack is sealed
  size_t reference_slice = 65536;  // reference changes in one index transaction
  size_t departures = 64;          // number of removed points at which their references are counted
  const base::Clock* clock = nullptr;  // dates the points, outlives the writer; null: the machine's
  // Inserts points between others, which otherwise only repairs do. Only for tests.
  bool order_by_host_time = false;
};

class StoreWriter {
 public:
  // Finishes what an interrupted writer began, so that the index agrees with packs and points.
  // Throws as StoreReader::open, and busy if another writer has the store. Without the key of an
  // encrypted store everything except begin() works. `index_directory` is given only if the place
  // is not in the machine's own file system: LMDB does its own I/O.
  static std::unique_ptr<StoreWriter> open(std::shared_ptr<StorePlace> place,
                                           const KeySource& key = {},
                                           const std::string& index_directory = "",
                                           const WriterLimits& limits = {});
  static std::unique_ptr<StoreWriter> open(base::FileSystem& files, const std::string& directory,
                                           const KeySource& key = {},
                                           const std::string& index_directory = "",
                                           const WriterLimits& limits = {});
  virtual ~StoreWriter() = default;

  // False after an index update failed, LMDB failed permanently after a failed commit (a full
  // disk), or the writer's lease has ended (locally: the store's folder is no longer the one that
  // was opened, since its disk was unmounted, or mounted over). The writer is then read-only, and
  // the next opening of the store repairs it.
  virtual bool usable() = 0;

  // Reads through the same process. Valid as long as the writer.
  virtual StoreReader& reader() = 0;

  // A sink for a new point. Throws invalid_argument for an impossible plan, not_found for a base
  // that is not a point of this machine with that disk. Destroy all sinks before the writer.
  virtual std::unique_ptr<StoreSink> begin(const SyncPlan& plan) = 0;

  // The point is deleted when it returns (compact() frees its space), even if its manifest cannot
  // be read. Throws not_found; busy while a reader has it open, or a sync is relative to it.
  virtual void delete_point(const PointId& id) = 0;

  // Replaces what is known about the point besides its data; empty: nothing. Durable when it
  // returns. Throws not_found, unauthorized without the key of an encrypted store.
  virtual void set_marks(const PointId& id, const PointMarks& marks) = 0;

  virtual CompactResult compact(const CompactOptions& options = {}) = 0;
  // As check_store(); syncs can continue meanwhile.
  virtual CheckReport check(const CheckOptions& options) = 0;
  // First subtracts the references of deleted points; if that fails (disk full), live_size still
  // includes them.
  virtual StoreFigures figures() = 0;
};

// Verifies every record's checksum and every point's trees. Needs no key unless `deep`. Damaged
// chunks are recorded in the index, so that the next sync that offers them sends them again; not
// while another process writes to the store (that process can run the check itself).
CheckReport check_store(std::shared_ptr<StorePlace> place, const KeySource& key,
                        const CheckOptions& options, const std::string& index_directory = "");
CheckReport check_store(base::FileSystem& files, const std::string& directory, const KeySource& key,
                        const CheckOptions& options);

struct RebuildReport {
  uint64_t packs_read = 0;
  uint64_t chunks_found = 0;
  uint64_t points_found = 0;
  std::vector<std::string> problems;
};

// Rebuilds the index from packs and points alone.
RebuildReport rebuild_index(std::shared_ptr<StorePlace> place,
                            const std::string& index_directory = "");
RebuildReport rebuild_index(base::FileSystem& files, const std::string& directory,
                            const std::string& index_directory = "");

// Needs no key. What was held only by points that were deleted by a writer that is still running,
// or was killed, may be counted as live.
StoreFigures read_figures(std::shared_ptr<StorePlace> place);
StoreFigures read_figures(base::FileSystem& files, const std::string& directory);

// Replaces the passphrase or key file; no pack is rewritten. Durable when it returns.
void change_store_key(StorePlace& place, const KeySource& old_key, const KeySource& new_key,
                      uint32_t scrypt_log2_n = 16);
void change_store_key(base::FileSystem& files, const std::string& directory,
                      const KeySource& old_key, const KeySource& new_key,
                      uint32_t scrypt_log2_n = 16);

}  // namespace images
