// Random work on a store, and what must be true of it afterwards, however it was interrupted. The
// sequence follows from a seed alone (ids are random, and nothing is decided by them), so that the
// I/Os of two runs are the same up to the first fault. Not thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/images/store/store_model.h"

namespace images {

// What a store must hold, and what it may hold because a step was cut short.
struct Expectation {
  ModelStore points;                    // commit() returned, delete_point() was not called
  std::vector<ModelPoint> maybe_added;  // commit() threw, or is under way
  ModelStore maybe_deleted;             // delete_point() threw, or is under way
};

// Compares a store that was just opened with `expected`; what is wrong, in words. What was
// uncertain is settled: afterwards `points` says what the store holds, and it has to stay so.
std::vector<std::string> settle(StoreReader& reader, Expectation& expected);

struct WorkloadOptions {
  uint32_t seed = 1;
  size_t chunk_count = 150;  // of each disk
  size_t most_points = 7;
};

class StoreWorkload {
 public:
  explicit StoreWorkload(const WorkloadOptions& options)
      : options_(options), random_(options.seed) {}

  // One step: a sync, two syncs at once, a deletion, a compaction, a check, or reads of a disk that
  // stays open over several steps. Throws what the store throws; `expected` then says what is
  // uncertain.
  void step(StoreWriter& writer);
  // Called whenever `expected` has changed: before and after what may be cut short.
  void on_change(std::function<void()> call) { on_change_ = std::move(call); }
  // The points to come lie after this time: tells them from those of another workload.
  void start_time(uint64_t time_ms) { next_time_ms_ = time_ms; }
  // Lets go of everything opened through a writer; before the writer goes.
  void close() { held_.reset(); }

  Expectation expected;
  // What a step saw that must never be, if no fault was ordered.
  std::vector<std::string> complaints;

 private:
  struct Held {
    PointId point;
    std::unique_ptr<DiskReader> disk;
    ModelContent content;
  };

  void commit(const ModelPoint& point, const std::function<PointId()>& make);
  ModelPoint next_point(std::optional<PointId>& base);
  std::optional<PointId> choose_point(const std::string& machine);
  void add(StoreWriter& writer);
  void add_two(StoreWriter& writer);
  void remove(StoreWriter& writer);
  void read(StoreWriter& writer);
  void check(StoreWriter& writer);

  WorkloadOptions options_;
  std::mt19937 random_;
  uint64_t next_time_ms_ = 1'000'000;  // none is so far back that it would lie before 1970
  std::function<void()> on_change_ = [] {};
  std::unique_ptr<Held> held_;
};

}  // namespace images
