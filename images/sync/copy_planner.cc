#include "images/sync/copy_planner.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace images {
namespace {

// Extents are requested in windows of this many bytes: a multiple of every chunk size, small enough
// that a fragmented bitmap (one extent per 64 KiB) stays below a megabyte of memory.
constexpr uint64_t kWindowSize = 1ull << 30;

// Adds chunks [first, last] of one kind. The first may equal the last of the previous runs: a chunk
// that contains two kinds has to be read.
void append_chunks(std::vector<ChunkRun>& runs, uint64_t first, uint64_t last, ExtentKind kind) {
  if (!runs.empty() && first < runs.back().index + runs.back().count) {
    ChunkRun& previous = runs.back();
    if (previous.kind != kind && previous.kind != ExtentKind::data) {
      if (--previous.count == 0) runs.pop_back();
      append_chunks(runs, first, first, ExtentKind::data);
    }
    if (first++ == last) return;
  }
  if (!runs.empty() && runs.back().kind == kind) {
    runs.back().count += last - first + 1;
  } else {
    runs.push_back({first, last - first + 1, kind});
  }
}

void check_coverage(const std::vector<Extent>& extents, uint64_t offset, uint64_t end,
                    const PlannedDisk& disk) {
  for (const Extent& extent : extents) {
    if (extent.offset != offset || extent.length == 0 || extent.length > end - offset) break;
    if (extent.kind == ExtentKind::unchanged && !disk.base) {
      throw base::Error(
          base::ErrorCode::invalid_argument,
          fmt::format("disk {} has unchanged parts, but no point that they are relative to",
                      disk.name));
    }
    offset += extent.length;
  }
  if (offset == end) return;
  throw base::Error(
      base::ErrorCode::io,
      fmt::format("the source of disk {} does not say what is at byte {}", disk.name, offset));
}

}  // namespace

std::vector<ChunkRun> chunk_runs(const std::vector<Extent>& extents, uint32_t chunk_size) {
  std::vector<ChunkRun> runs;
  for (const Extent& extent : extents) {
    uint64_t last_byte = extent.offset + extent.length - 1;
    append_chunks(runs, extent.offset / chunk_size, last_byte / chunk_size, extent.kind);
  }
  return runs;
}

CopyPlanner::CopyPlanner(const SyncPlan& plan, const std::vector<DiskSource*>& sources,
                         uint32_t chunk_size, uint64_t max_data_chunks)
    : plan_(plan), sources_(sources), chunk_size_(chunk_size), max_data_chunks_(max_data_chunks) {
  if (plan.disks.size() != sources.size()) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      "the sync has a different number of disks than its plan");
  }
  for (size_t i = 0; i < sources.size(); ++i) {
    if (plan.disks[i].size == sources[i]->size()) continue;
    throw base::Error(base::ErrorCode::invalid_argument,
                      fmt::format("disk {} has {} bytes, {} were planned", plan.disks[i].name,
                                  sources[i]->size(), plan.disks[i].size));
  }
}

uint64_t CopyPlanner::bytes_total() const {
  uint64_t total = 0;
  for (const PlannedDisk& disk : plan_.disks) total += disk.size;
  return total;
}

std::optional<CopyUnit> CopyPlanner::next() {
  CopyUnit unit{.sequence = next_sequence_, .disk = disk_};
  while (true) {
    if (waiting_.empty()) {
      uint32_t disk_before = disk_;
      if (disk_ < sources_.size() && offset_ == sources_[disk_]->size()) {
        disk_ += 1;
        offset_ = 0;
      }
      if (disk_ != disk_before && !unit.runs.empty()) break;
      if (!load_window()) break;
      unit.disk = disk_;
      continue;
    }
    const ChunkRun& run = waiting_.front();
    bool needed = run.kind == ExtentKind::data ||
                  (run.kind == ExtentKind::zero && plan_.disks[disk_].base.has_value());
    if (!needed) {
      skip(run);
      waiting_.pop_front();
      continue;
    }
    take_run(unit);
    uint64_t place_count = unit.data_chunk_count + unit.runs.size();
    if (unit.data_chunk_count == max_data_chunks_ || place_count >= kMaxBatchPlaces) break;
  }
  if (unit.runs.empty()) return std::nullopt;
  next_sequence_ += 1;
  return unit;
}

// Fetches the extents of the next window of the current disk. False after the last disk.
bool CopyPlanner::load_window() {
  if (disk_ == sources_.size()) return false;
  DiskSource& source = *sources_[disk_];
  uint64_t length = std::min(kWindowSize, source.size() - offset_);
  std::vector<Extent> extents = source.extents(offset_, length);
  check_coverage(extents, offset_, offset_ + length, plan_.disks[disk_]);
  std::vector<ChunkRun> runs = chunk_runs(extents, chunk_size_);
  waiting_.assign(runs.begin(), runs.end());
  offset_ += length;
  return true;
}

// Moves the front run, or as much of it as fits, into the unit.
void CopyPlanner::take_run(CopyUnit& unit) {
  ChunkRun& run = waiting_.front();
  ChunkRun taken = run;
  if (run.kind == ExtentKind::zero) {
    skip(run);
  } else {
    taken.count = std::min(run.count, max_data_chunks_ - unit.data_chunk_count);
    unit.data_chunk_count += taken.count;
  }
  unit.runs.push_back(taken);
  run.index += taken.count;
  run.count -= taken.count;
  if (run.count == 0) waiting_.pop_front();
}

void CopyPlanner::skip(const ChunkRun& run) {
  uint64_t end = std::min((run.index + run.count) * chunk_size_, sources_[disk_]->size());
  bytes_without_reading_ += end - run.index * chunk_size_;
}

}  // namespace images
