// A StoreSink into the store of this process. Thread-safe as PointSink says.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "images/point_sink.h"
#include "images/store/pack_appender.h"
#include "images/store/store_context.h"
#include "images/store/sync_pins.h"

namespace images {

// How a published point is dated.
enum class Dating {
  now,            // by this store's clock, by which the host's clock is judged
  now_by_person,  // the same, but a person stated when the images were taken
  kept,           // a copy: it has its dates already
};

class LocalSink : public StoreSink {
 public:
  // Publishes a finished point; called once by commit(), after every chunk and node is durable. It
  // dates the point: time_ms and everything else the host does not decide. Throws already_exists for
  // a copy of a point that is already there.
  using Publish = std::function<void(Point, Dating)>;

  // All must outlive the sink. Throws invalid_argument, not_found, busy for an impossible plan.
  LocalSink(StoreContext& store, PackAppender& appender, SyncRegistry& registry,
            const SyncPlan& plan, Publish publish);
  ~LocalSink() override;

  const ChunkHasher& hasher() const override { return store_.hasher; }
  std::vector<bool> lacking(std::span<const PlacedChunk> places) override;
  void send(const Batch& batch, const std::function<EncodedChunk(size_t)>& encode) override;
  SinkProgress progress() const override;
  PointId commit(const PointDetails& details) override;

 private:
  struct Disk {
    PlannedDisk plan;
    uint64_t chunk_count = 0;
    std::unique_ptr<TreeUpdater> tree;
    std::unique_ptr<Lease> base_lease;  // keeps the base from being deleted
  };
  // Batches are applied to the trees in the order of their sequence.
  struct Order {
    std::mutex mutex;
    uint64_t next = 0;
    std::map<uint64_t, Batch> waiting;
  };

  Disk open_disk(const PlannedDisk& plan);
  void publish_copy(Point point, const PointMarks& marks);
  void check_batch(const Batch& batch) const;
  // The point without its disks.
  Point point_of(const PointDetails& details) const;
  SyncFigures figures_of(const PointDetails& details) const;
  void store_node(const ChunkId& id, base::Bytes bytes);
  void apply(const Batch& batch);
  bool has(IndexTransaction& transaction, const ChunkId& id);

  StoreContext& store_;
  PackAppender& appender_;
  SyncRegistry& registry_;
  SyncPlan plan_;
  MachineId machine_;
  Publish publish_;
  std::shared_ptr<SyncPins> pins_;
  uint64_t failures_at_start_;
  std::vector<Disk> disks_;
  Order order_;
  const uint64_t begun_ms_ = base::steady_ms();
  std::atomic<uint64_t> bytes_sent_{0}, bytes_stored_{0};
};

}  // namespace images
