// Writes a store: adds points, deletes points, compacts, repairs. One writer a store, guarded by a
// lock: a second one gets busy. Thread-safe: any number of syncs, deletions and one compaction at a
// time.
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
#include "images/store/store_key.h"
#include "images/store/store_reader.h"

namespace images {

struct InitOptions {
  uint32_t chunk_size = kDefaultChunkSize;  // bytes, a power of two, 4 KiB to 1 MiB
  KeySource key;                            // not empty: the store is encrypted
  uint32_t scrypt_log2_n = 16;
};

// Makes a store in a new or empty directory; durable when it returns. Throws already_exists.
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
  std::vector<PointSummary> damaged;  // the points that damage touches
  bool good() const { return problems.empty(); }
};

// Tests make them small, so that little data crosses every border.
struct WriterLimits {
  uint64_t pack_size = 64u << 20;      // bytes at which a pack is sealed
  size_t reference_slice = 65536;      // reference changes in one index transaction
  size_t departures = 64;              // points that left, at which their references are counted
  const base::Clock* clock = nullptr;  // dates the points, outlives the writer; null: the machine's
  // So that points enter between others, which otherwise only repairs do: never but in tests.
  bool order_by_host_time = false;
};

class StoreWriter {
 public:
  // Finishes what an interrupted predecessor began, so that the index agrees with packs and points.
  // Throws as StoreReader::open, and busy when another writer has the store. Without the key of an
  // encrypted store everything but begin() works. `index_directory` is given only where `files` is
  // not the machine's own file system: LMDB does its own I/O.
  static std::unique_ptr<StoreWriter> open(base::FileSystem& files, const std::string& directory,
                                           const KeySource& key = {},
                                           const std::string& index_directory = "",
                                           const WriterLimits& limits = {});
  virtual ~StoreWriter() = default;

  // False once the index could not follow a change of the points, LMDB gave up after a failed
  // commit (a full disk), or the store's folder is not the one that was opened any more (its disk
  // was unmounted, or mounted over): nothing is written any more, reading goes on, and whoever
  // opens the store again mends it.
  virtual bool usable() = 0;

  // Reads through the same process. Valid as long as the writer.
  virtual StoreReader& reader() = 0;

  // A sink for a new point. Throws invalid_argument for a plan that cannot be, not_found for a base
  // that is no point of this machine with that disk. Destroy all sinks before the writer.
  virtual std::unique_ptr<PointSink> begin(const SyncPlan& plan) = 0;

  // The point is gone when it returns (space comes back by compact()); also one whose manifest
  // cannot be read. Throws not_found; busy while a reader has it open, or a sync is relative to it.
  virtual void delete_point(const PointId& id) = 0;

  virtual CompactResult compact(const CompactOptions& options = {}) = 0;
  virtual CheckReport check(
      const CheckOptions& options) = 0;  // as check_store(); syncs go on meanwhile
  // Counts first what points that were deleted alone held; where that fails (a full disk),
  // live_size still holds it.
  virtual StoreFigures figures() = 0;
};

// Verifies every record's checksum and every point's trees. Needs no key unless `deep`. Damaged
// chunks are noted in the index, so that the next sync that meets them sends them again; not while
// another process writes to the store (then that process's own check does it).
CheckReport check_store(base::FileSystem& files, const std::string& directory, const KeySource& key,
                        const CheckOptions& options);

struct RebuildReport {
  uint64_t packs_read = 0;
  uint64_t chunks_found = 0;
  uint64_t points_found = 0;
  std::vector<std::string> problems;
};

// Makes the index anew from packs and points alone.
RebuildReport rebuild_index(base::FileSystem& files, const std::string& directory,
                            const std::string& index_directory = "");

// Needs no key. What points alone held that were deleted by a writer still at work, or killed, may
// be counted as live.
StoreFigures read_figures(base::FileSystem& files, const std::string& directory);

// Puts another passphrase or key file in the place of the old one; no pack is rewritten. Durable
// when it returns.
void change_store_key(base::FileSystem& files, const std::string& directory,
                      const KeySource& old_key, const KeySource& new_key,
                      uint32_t scrypt_log2_n = 16);

}  // namespace images
