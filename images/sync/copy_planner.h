// Divides disks into the work units of a sync: walks the extents of every disk in windows, widens
// what may have changed to whole chunks, and groups chunks into units of bounded size. Reads no
// data. Not thread-safe: the sync engine calls it under its lock.
//
// A chunk is read whole unless all of it is zero or all of it is unchanged:
//   extents  |data····|zero··············|unchanged······|
//   chunks   |  read  |  read  |  zero   |  read |nothing|
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "images/disk_source.h"
#include "images/point_sink.h"

namespace images {

// `count` chunks from chunk number `index`, to be read or known to be zero.
struct ChunkRun {
  uint64_t index = 0;
  uint64_t count = 0;
  ExtentKind kind = ExtentKind::data;
};

// What one batch will be made of. The batch gets `sequence`; zero chunks found during reading may
// make it smaller, even empty.
struct CopyUnit {
  uint64_t sequence = 0;
  uint32_t disk = 0;
  std::vector<ChunkRun> runs{};  // ascending, data or zero; at most kMaxBatchPlaces places
  uint64_t data_chunk_count = 0;
};

// The runs of whole chunks that cover `extents`, which start at the beginning of a chunk.
std::vector<ChunkRun> chunk_runs(const std::vector<Extent>& extents, uint32_t chunk_size);

class CopyPlanner {
 public:
  // `sources[i]` is disk i of `plan`, and of the same size. A unit has at most `max_data_chunks`
  // chunks to read. Throws invalid_argument if plan and sources disagree.
  CopyPlanner(const SyncPlan& plan, const std::vector<DiskSource*>& sources, uint32_t chunk_size,
              uint64_t max_data_chunks);

  // The next unit, in the order of disks and offsets; none at the end. Throws what a source throws.
  std::optional<CopyUnit> next();

  // Bytes skipped so far because they need no reading.
  uint64_t bytes_without_reading() const { return bytes_without_reading_; }
  uint64_t bytes_total() const;

 private:
  bool load_window();
  void take_run(CopyUnit& unit);
  void skip(const ChunkRun& run);

  const SyncPlan& plan_;
  const std::vector<DiskSource*>& sources_;
  uint32_t chunk_size_;
  uint64_t max_data_chunks_;
  uint64_t next_sequence_ = 0;
  uint32_t disk_ = 0;
  uint64_t offset_ = 0;           // of the next window
  std::deque<ChunkRun> waiting_;  // of the current window
  uint64_t bytes_without_reading_ = 0;
};

}  // namespace images
