// Every worker does the same: it takes the next unit from the planner, reads it, drops zero chunks,
// hashes the rest and hands the batch to the sink, which has it encode what the store lacks. There
// is no queue between stages. Overlap comes from running a few more workers than processors: while
// some wait in a read or a send, the others compute, and a chunk is hashed and compressed by the
// thread that just read it.
//
// Order. Units are numbered when they are taken, so every number below the highest is being
// processed by some worker: the smallest one that is not yet handed over is always being worked on.
// So a sink that waits for it cannot wait forever, and neither can a worker that waits because it
// is kMaxBatchesInFlight ahead.
#include "images/sync/sync_engine.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <memory>
#include <set>
#include <thread>

#include "base/check.h"
#include "base/error.h"
#include "base/guarded.h"
#include "images/sync/copy_planner.h"
#include "images/sync/workspaces.h"

namespace images {
namespace {

constexpr uint64_t kMaxDataChunks = 64;
constexpr uint64_t kMaxUnitSize = 1u
                                  << 20;  // bytes per worker: what its processor's L2 cache holds
constexpr uint32_t kWaitingThreads = 2;
constexpr auto kProgressInterval = std::chrono::milliseconds(250);

uint64_t max_data_chunks(uint32_t chunk_size) {
  return std::clamp<uint64_t>(kMaxUnitSize / chunk_size, 1, kMaxDataChunks);
}

class WorkspaceLoan {
 public:
  WorkspaceLoan(int compression_level, uint64_t size)
      : workspace_(Workspaces::shared().take(compression_level, size)) {}
  ~WorkspaceLoan() { Workspaces::shared().give_back(std::move(workspace_)); }
  WorkspaceLoan(const WorkspaceLoan&) = delete;
  WorkspaceLoan& operator=(const WorkspaceLoan&) = delete;
  Workspace* operator->() { return workspace_.get(); }

 private:
  std::unique_ptr<Workspace> workspace_;
};

// A batch, and where the content of each of its places is; null for zeros.
struct PreparedBatch {
  Batch batch;
  std::vector<const uint8_t*> contents;
};

class Copier {
 public:
  Copier(const SyncPlan& plan, const std::vector<DiskSource*>& sources, PointSink& sink,
         const CopyOptions& options)
      : plan_(plan), sources_(sources), sink_(sink), options_(options),
        chunk_size_(sink.hasher().chunk_size()),
        shared_(Shared{CopyPlanner(plan, sources, chunk_size_, max_data_chunks(chunk_size_))}) {}

  CopyProgress run();

 private:
  struct Shared {
    CopyPlanner planner;
    std::set<uint64_t> in_flight{};   // sequences taken and not yet handed over
    uint32_t running = 0;             // workers
    bool stopping = false;            // no further unit is begun
    std::exception_ptr failure = {};  // the first one
  };

  void run_worker();
  std::optional<CopyUnit> take_unit();
  void give_back(uint64_t sequence);
  void fail(std::exception_ptr failure);
  void read_unit(const CopyUnit& unit, uint8_t* buffer);
  PreparedBatch prepare(const CopyUnit& unit, const uint8_t* buffer) const;
  void append_zeros(PreparedBatch& prepared, uint64_t index, uint64_t count) const;
  void name_chunks(PreparedBatch& prepared) const;
  void wait_for_workers();
  CopyProgress progress(Shared& shared) const;

  const SyncPlan& plan_;
  const std::vector<DiskSource*>& sources_;
  PointSink& sink_;
  const CopyOptions& options_;
  uint32_t chunk_size_;
  base::Guarded<Shared> shared_;
  std::condition_variable changed_;  // in_flight shrank, a worker ended, or all are to end
  std::atomic<uint64_t> bytes_read_ = 0;
};

CopyProgress Copier::run() {
  uint32_t thread_count =
      std::clamp<uint32_t>(options_.thread_count, 1, kMaxBatchesInFlight - kWaitingThreads);
  thread_count += kWaitingThreads;
  shared_.lock()->running = thread_count;
  {
    std::vector<std::jthread> workers;
    for (uint32_t i = 0; i < thread_count; ++i) workers.emplace_back([this] { run_worker(); });
    wait_for_workers();
  }
  auto shared = shared_.lock();
  CopyProgress figures = progress(*shared);
  bool complete = !shared->failure && figures.bytes_done == figures.bytes_total;
  if (options_.stop.stop_requested() && !complete) {
    // A failure at this time is most likely caused by the stop itself: a source that was taken
    // away.
    throw base::Error(base::ErrorCode::cancelled, "the copy was stopped");
  }
  if (shared->failure) std::rethrow_exception(shared->failure);
  CHECK(complete);
  return figures;
}

// Reports progress on this thread until all workers have ended.
void Copier::wait_for_workers() {
  std::stop_callback on_stop(options_.stop, [this] { fail(nullptr); });
  bool running = true;
  while (running) {
    CopyProgress figures;
    {
      auto shared = shared_.lock();
      running = !shared.wait_for(changed_, kProgressInterval, [&] { return shared->running == 0; });
      figures = progress(*shared);
    }
    if (!options_.on_progress) continue;
    try {
      options_.on_progress(figures);
    } catch (...) {
      fail(std::current_exception());
    }
  }
}

CopyProgress Copier::progress(Shared& shared) const {
  uint64_t read = bytes_read_;
  return {.bytes_total = shared.planner.bytes_total(),
          .bytes_done = shared.planner.bytes_without_reading() + read,
          .bytes_read = read,
          .bytes_sent = sink_.progress().bytes_sent};
}

void Copier::run_worker() {
  try {
    while (true) {
      // Before the unit: a worker that has a unit that others wait for must be able to work on it.
      WorkspaceLoan workspace(options_.compression_level,
                              max_data_chunks(chunk_size_) * chunk_size_);
      std::optional<CopyUnit> unit = take_unit();
      if (!unit) break;
      workspace->encoder().forget();
      read_unit(*unit, workspace->buffer());
      PreparedBatch prepared = prepare(*unit, workspace->buffer());
      sink_.send(prepared.batch, [&](size_t place) {
        CHECK(place < prepared.contents.size() && prepared.contents[place] != nullptr);
        return workspace->encoder().encode({prepared.contents[place], chunk_size_});
      });
      give_back(unit->sequence);
    }
  } catch (...) {
    fail(std::current_exception());
  }
  shared_.lock()->running -= 1;
  changed_.notify_all();
}

// The lock is held while the planner asks a source for extents: extents() is for one thread at a
// time, and the others would have nothing to do before it answers.
std::optional<CopyUnit> Copier::take_unit() {
  auto shared = shared_.lock();
  if (shared->stopping) return std::nullopt;
  std::optional<CopyUnit> unit = shared->planner.next();
  if (!unit) return std::nullopt;
  shared->in_flight.insert(unit->sequence);
  shared.wait(changed_, [&] {
    return shared->stopping || unit->sequence - *shared->in_flight.begin() < kMaxBatchesInFlight;
  });
  if (shared->stopping) return std::nullopt;
  return unit;
}

void Copier::give_back(uint64_t sequence) {
  shared_.lock()->in_flight.erase(sequence);
  changed_.notify_all();
}

// Ends all workers after their current unit; without a failure, because of a stop.
void Copier::fail(std::exception_ptr failure) {
  {
    auto shared = shared_.lock();
    shared->stopping = true;
    if (!shared->failure) shared->failure = failure;
  }
  changed_.notify_all();
}

// Reads the unit's data chunks one after the other into `buffer`.
void Copier::read_unit(const CopyUnit& unit, uint8_t* buffer) {
  if (options_.throttle) options_.throttle(unit.data_chunk_count * chunk_size_);
  DiskSource& source = *sources_[unit.disk];
  for (const ChunkRun& run : unit.runs) {
    if (run.kind != ExtentKind::data) continue;
    uint64_t offset = run.index * chunk_size_;
    uint64_t room = run.count * chunk_size_;
    uint64_t length = std::min(room, source.size() - offset);
    source.read(offset, {buffer, length});
    std::memset(buffer + length, 0, room - length);  // beyond the disk's end
    bytes_read_ += length;
    buffer += room;
  }
}

PreparedBatch Copier::prepare(const CopyUnit& unit, const uint8_t* buffer) const {
  PreparedBatch prepared;
  prepared.batch.sequence = unit.sequence;
  prepared.batch.disk = unit.disk;
  for (const ChunkRun& run : unit.runs) {
    if (run.kind == ExtentKind::zero) {
      append_zeros(prepared, run.index, run.count);
      continue;
    }
    for (uint64_t index = run.index; index < run.index + run.count;
         ++index, buffer += chunk_size_) {
      base::ByteView content(buffer, chunk_size_);
      if (base::is_all_zero(content)) {
        append_zeros(prepared, index, 1);
        continue;
      }
      prepared.batch.places.push_back({index, 1, ChunkId{}});
      prepared.contents.push_back(buffer);
    }
  }
  name_chunks(prepared);
  return prepared;
}

// Computes the ids of the places with content, two at a time.
void Copier::name_chunks(PreparedBatch& prepared) const {
  std::optional<size_t> waiting;
  auto content = [&](size_t place) {
    return base::ByteView(prepared.contents[place], chunk_size_);
  };
  for (size_t i = 0; i < prepared.contents.size(); ++i) {
    if (prepared.contents[i] == nullptr) continue;
    if (!waiting) {
      waiting = i;
      continue;
    }
    auto ids = sink_.hasher().ids_of(content(*waiting), content(i));
    prepared.batch.places[*waiting].id = ids[0];
    prepared.batch.places[i].id = ids[1];
    waiting.reset();
  }
  if (waiting) prepared.batch.places[*waiting].id = sink_.hasher().id_of(content(*waiting));
}

// Without a base the disk is zero wherever nothing is sent.
void Copier::append_zeros(PreparedBatch& prepared, uint64_t index, uint64_t count) const {
  if (!plan_.disks[prepared.batch.disk].base) return;
  auto& places = prepared.batch.places;
  if (!places.empty() && prepared.contents.back() == nullptr &&
      places.back().index + places.back().count == index) {
    places.back().count += count;
    return;
  }
  places.push_back({index, count, ChunkId{}});
  prepared.contents.push_back(nullptr);
}

}  // namespace

CopyProgress copy_disks(const SyncPlan& plan, const std::vector<DiskSource*>& sources,
                        PointSink& sink, const CopyOptions& options) {
  return Copier(plan, sources, sink, options).run();
}

}  // namespace images
