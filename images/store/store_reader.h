// Reads a store: needs no daemon, no writer, and no write access except to the index's reader
// table. Any number of processes and threads, also while a writer works. Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_system.h"
#include "images/chunk_hasher.h"
#include "images/disk_reader.h"
#include "images/point.h"
#include "images/point_marks.h"
#include "images/store/place/store_place.h"
#include "images/store/store_key.h"

namespace images {

struct ReadOptions {
  // Memory for decoded chunks, shared by all disks of one StoreReader. Bytes.
  uint64_t chunk_cache_size = 64ull << 20;
  // Room on disk, in an unlinked file in `cache_directory`, for decoded chunks. 0: none.
  uint64_t disk_cache_size = 0;
  std::string cache_directory = "/var/tmp";
};

class StoreReader {
 public:
  // Throws not_found (no store there), unsupported (a newer format), unauthorized (no key, wrong
  // key). `index_directory` is needed if the place has none.
  static std::unique_ptr<StoreReader> open(std::shared_ptr<StorePlace> place,
                                           const KeySource& key = {},
                                           const ReadOptions& options = {},
                                           const std::string& index_directory = "");
  // The same in a directory of `files`, which must outlive it.
  static std::unique_ptr<StoreReader> open(base::FileSystem& files, const std::string& directory,
                                           const KeySource& key = {},
                                           const ReadOptions& options = {});
  virtual ~StoreReader() = default;

  virtual StoreId id() const = 0;
  virtual const ChunkHasher& hasher() const = 0;

  // Newest last within a machine; machines by name.
  virtual std::vector<PointSummary> points() = 0;
  // The points of one machine, oldest first; empty if there is none with that name.
  virtual std::vector<PointSummary> points_of(std::string_view machine_name) = 0;

  // The point that a person refers to: an id, a unique prefix of one (at least 4 digits),
  // "MACHINE@latest" (newest_of) or "MACHINE@TIME" (the last one received no later than TIME,
  // to the second). Throws not_found, or invalid_argument if ambiguous.
  virtual PointId find_point(std::string_view selector) = 0;

  virtual Point read_point(const PointId& id) = 0;  // throws not_found, corrupt
  // What is known about the point besides its data; empty if nobody wrote anything. Throws not_found
  // for the point, corrupt, unsupported, unauthorized.
  virtual PointMarks marks(const PointId& id) = 0;
  virtual std::unique_ptr<DiskReader> open_disk(const PointId& id, std::string_view disk_name) = 0;
};

}  // namespace images
