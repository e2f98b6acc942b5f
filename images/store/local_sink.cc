#include "images/store/local_sink.h"

#include <algorithm>
#include <set>
#include <shared_mutex>

#include "base/check.h"
#include "base/error.h"
#include "base/guarded_thread.h"
#include "base/text.h"
#include "images/store/place/layout.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;

constexpr uint64_t kLongestSync_ms = 30ull * 24 * 3'600'000;

uint32_t next_epoch(ChunkIndex& index) {
  auto transaction = index.write();
  auto epoch = static_cast<uint32_t>(transaction->number("epoch", 1) + 1);
  transaction->set_number("epoch", epoch);
  transaction->commit();
  return epoch;
}

void check_plan(const SyncPlan& plan) {
  base::check_name(plan.machine_name, "machine's name");
  if (plan.disks.empty() || plan.disks.size() > format::kMaxDisks) {
    throw Error(ErrorCode::invalid_argument,
                "a machine has 1 to 64 disks, not " + std::to_string(plan.disks.size()));
  }
  std::set<std::string> names;
  for (const PlannedDisk& disk : plan.disks) {
    base::check_name(disk.name, "disk's name");
    if (!names.insert(disk.name).second) {
      throw Error(ErrorCode::invalid_argument, "two disks are named '" + disk.name + "'");
    }
    if (disk.size == 0 || disk.size % 512 != 0 || disk.size > kMaxDiskSize) {
      throw Error(ErrorCode::invalid_argument,
                  "disk '" + disk.name + "' has " + std::to_string(disk.size) +
                      " bytes; it must be a multiple of 512, up to 64 TiB");
    }
  }
}

void check_details(const PointDetails& details) {
  const auto& dates = details.first_dates;
  bool good = details.lineage.origin.has_value() == dates.has_value() &&
              (!dates || is_possible(*dates)) &&
              (!details.lineage.origin || !details.lineage.origin->point.is_zero());
  if (good) return;
  throw Error(ErrorCode::invalid_argument,
              "a copy of a point needs where and when that was made, within the years and orders "
              "that points have");
}

}  // namespace

LocalSink::LocalSink(StoreContext& store, PackAppender& appender, SyncRegistry& registry,
                     const SyncPlan& plan, Publish publish)
    : store_(store), appender_(appender), registry_(registry), plan_(plan),
      publish_(std::move(publish)), failures_at_start_(appender.failure_count()) {
  check_plan(plan);
  machine_ = store.hasher.machine_id(plan.machine_name);
  // Before the bases are looked up: from here on nothing that they refer to is freed.
  pins_ = registry_.start(next_epoch(store.index()));
  for (const PlannedDisk& disk : plan.disks) disks_.push_back(open_disk(disk));
}

LocalSink::~LocalSink() = default;

LocalSink::Disk LocalSink::open_disk(const PlannedDisk& plan) {
  Disk disk;
  disk.plan = plan;
  disk.chunk_count = store_.shape.chunk_count(plan.size);
  ChunkId old_root;
  if (plan.base) {
    auto point = store_.index().read()->find_point(*plan.base);
    std::string base_name = plan.base->hex().substr(0, 8);
    if (!point || point->machine != machine_) {
      throw Error(ErrorCode::not_found, "the sync is relative to point " + base_name +
                                            ", which is not a point of '" + plan_.machine_name +
                                            "'");
    }
    DiskKey key = store_.hasher.disk_key(plan.name);
    auto found = std::find_if(point->disks.begin(), point->disks.end(),
                              [&](const auto& d) { return d.key == key; });
    if (found == point->disks.end() || found->size != plan.size) {
      throw Error(ErrorCode::not_found, "point " + base_name + " has no disk '" + plan.name +
                                            "' of " + std::to_string(plan.size) + " bytes");
    }
    std::string manifest = layout::manifest_file("", machine_, point->id);
    disk.base_lease = store_.place->leases().shared(manifest);
    // A lease on a manifest that was removed at the same moment protects nothing.
    if (!store_.blobs.exists(manifest)) {
      throw Error(ErrorCode::not_found, "point " + base_name + " was just deleted");
    }
    old_root = found->root;
  }
  disk.tree = std::make_unique<TreeUpdater>(
      store_.shape, store_.hasher, old_root, store_.node_loader(),
      [this](const ChunkId& id, base::Bytes bytes) { store_node(id, std::move(bytes)); });
  return disk;
}

bool LocalSink::has(IndexTransaction& transaction, const ChunkId& id) {
  auto entry = transaction.find_chunk(id);
  if (!entry || !entry->present()) return false;
  if (entry->references == 0) pins_->pin(id);
  return true;
}

std::vector<bool> LocalSink::lacking(std::span<const PlacedChunk> places) {
  std::vector<bool> lacking(places.size());
  // First the pending records, then the index: a record flushed in between is found there.
  for (size_t i = 0; i < places.size(); ++i) {
    lacking[i] = !places[i].id.is_zero() && !appender_.is_pending(places[i].id);
  }
  std::shared_lock lock(registry_.freeing);
  auto transaction = store_.index().read();
  for (size_t i = 0; i < places.size(); ++i) {
    if (lacking[i]) lacking[i] = !has(*transaction, places[i].id);
  }
  return lacking;
}

void LocalSink::check_batch(const Batch& batch) const {
  auto refuse = [](const char* why) {
    throw Error(ErrorCode::invalid_argument, std::string("a batch ") + why);
  };
  if (batch.disk >= disks_.size()) refuse("names a disk that is not in the plan");
  if (batch.places.size() > kMaxBatchPlaces) refuse("has too many places");
  uint64_t next = 0, end = disks_[batch.disk].chunk_count;
  for (const PlacedChunk& place : batch.places) {
    if (place.index < next || place.count == 0 || place.index >= end ||
        place.count > end - place.index) {
      refuse("has places that overlap, or lie outside the disk");
    }
    if (place.count > 1 && !place.id.is_zero()) refuse("repeats a chunk that is not zero");
    next = place.index + place.count;
  }
}

void LocalSink::send(const Batch& batch, const std::function<EncodedChunk(size_t)>& encode) {
  check_batch(batch);
  std::vector<bool> wanted = lacking(batch.places);
  std::vector<Record> records;
  uint64_t sent = 0;
  for (size_t i = 0; i < batch.places.size(); ++i) {
    if (!wanted[i]) continue;
    EncodedChunk chunk = encode(i);
    sent += chunk.bytes.size();
    records.push_back(store_.codec.seal_chunk(batch.places[i].id, chunk));
  }
  uint64_t stored = records.empty() ? 0 : appender_.append(records);
  bytes_sent_ += sent;
  bytes_stored_ += stored;

  std::lock_guard lock(order_.mutex);
  if (batch.sequence < order_.next || order_.waiting.count(batch.sequence) != 0) {
    throw Error(ErrorCode::invalid_argument,
                "batch " + std::to_string(batch.sequence) + " came twice");
  }
  if (batch.sequence >= order_.next + 2 * kMaxBatchesInFlight) {
    throw Error(ErrorCode::invalid_argument,
                "batch " + std::to_string(batch.sequence) + " came too early");
  }
  order_.waiting.emplace(batch.sequence, batch);
  for (auto next = order_.waiting.find(order_.next); next != order_.waiting.end();
       next = order_.waiting.find(order_.next)) {
    apply(next->second);
    order_.waiting.erase(next);
    ++order_.next;
  }
}

void LocalSink::apply(const Batch& batch) {
  TreeUpdater& tree = *disks_[batch.disk].tree;
  for (const PlacedChunk& place : batch.places) {
    if (!tree.accepts(place.index)) {
      throw Error(ErrorCode::invalid_argument, "the places of disk '" +
                                                   disks_[batch.disk].plan.name +
                                                   "' do not come in ascending order");
    }
    tree.set(place.index, place.count, place.id);
  }
}

void LocalSink::store_node(const ChunkId& id, base::Bytes bytes) {
  PlacedChunk place{0, 1, id};
  if (!lacking({&place, 1}).front()) return;
  Record record = store_.codec.seal_node(id, std::move(bytes));
  bytes_stored_ += appender_.append({&record, 1});
}

SinkProgress LocalSink::progress() const { return {bytes_sent_, bytes_stored_}; }

Point LocalSink::point_of(const PointDetails& details) const {
  Point point;
  point.id = PointId::random();
  point.machine = machine_;
  point.machine_name = plan_.machine_name;
  point.host = details.host;
  point.dates.host_time_ms = std::min(details.time_ms, kLatestTime_ms);
  point.consistency = details.consistency;
  point.definition = details.definition;
  point.note = details.note;
  point.lineage = details.lineage;
  if (!point.lineage.origin) {
    for (const Disk& disk : disks_) {
      if (!point.lineage.parent) point.lineage.parent = disk.plan.base;
    }
    return point;
  }
  point.id = point.lineage.origin->point;
  point.time_ms = details.first_dates->time_ms;
  point.dates.order = details.first_dates->order;
  point.dates.dated_by_host = details.first_dates->dated_by_host;
  point.dates.host_clock_wrong = details.first_dates->host_clock_wrong;
  // The copy is back in the store where the point was made.
  if (point.lineage.origin->store == store_.parameters.id) point.lineage.origin.reset();
  return point;
}

SyncFigures LocalSink::figures_of(const PointDetails& details) const {
  SyncFigures figures = details.figures;
  if (details.lineage.origin) return figures;
  // A sync that was cut and taken up again began in an earlier sink: the host's word, in bounds.
  figures.duration_ms = std::max(std::min(details.figures.duration_ms, kLongestSync_ms),
                                 base::steady_ms() - begun_ms_);
  figures.bytes_sent = std::max<uint64_t>(details.figures.bytes_sent, bytes_sent_);
  figures.bytes_stored = bytes_stored_;
  return figures;
}

PointId LocalSink::commit(const PointDetails& details) {
  check_details(details);
  Point point = point_of(details);
  {
    std::lock_guard lock(order_.mutex);
    if (!order_.waiting.empty()) {
      throw Error(ErrorCode::invalid_argument,
                  "batch " + std::to_string(order_.next) + " is missing");
    }
    for (Disk& disk : disks_) {
      point.disks.push_back({disk.plan.name, disk.plan.size, disk.tree->finish(),
                             store_.hasher.disk_key(disk.plan.name)});
    }
  }
  appender_.flush();
  if (appender_.failure_count() != failures_at_start_) {
    throw Error(ErrorCode::io, "the store could not write what this sync relies on; sync again");
  }
  point.figures = figures_of(details);
  PointId id = point.id;
  Dating dating = details.dated_by_person ? Dating::now_by_person : Dating::now;
  if (!details.lineage.origin) {
    publish_(std::move(point), dating);
    return id;
  }
  publish_copy(std::move(point), details.marks);
  return id;
}

// The marks first: nobody deletes a point in the moment between because its hold is missing.
void LocalSink::publish_copy(Point point, const PointMarks& marks) {
  const PointId id = point.id;
  if (marks.empty()) return publish_(std::move(point), Dating::kept);
  if (store_.blobs.exists(layout::manifest_file("", machine_, id))) {
    return publish_(std::move(point), Dating::kept);  // it throws
  }
  store_.write_marks(machine_, id, marks);
  try {
    publish_(std::move(point), Dating::kept);
  } catch (...) {
    if (!store_.blobs.exists(layout::manifest_file("", machine_, id)))
      base::run_guarded("removing the marks of a copy that failed",
                        [&] { store_.write_marks(machine_, id, {}); });
    throw;
  }
}

}  // namespace images
