#include "images/reference_counter.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/log.h"

namespace images {
namespace {

using format::PublicManifest;
using format::RecordKind;

struct Change {
  ChunkId id;
  RecordKind kind;
};

ChunkId root_of(const std::vector<PublicManifest::Disk>& disks, const DiskKey& key) {
  for (const auto& disk : disks) {
    if (disk.key == key) return disk.root;
  }
  return ChunkId{};
}

// Applies one slice of changes in an open transaction.
class SliceWriter {
 public:
  SliceWriter(IndexTransaction& transaction, bool adds)
      : transaction_(transaction), adds_(adds),
        epoch_(static_cast<uint32_t>(transaction.number("epoch", 1))) {}

  void apply(std::vector<Change>& slice) {
    // Sorted, equal ids meet and the index's pages are touched in order.
    std::sort(slice.begin(), slice.end(),
              [](const Change& a, const Change& b) { return a.id < b.id; });
    for (size_t first = 0; first < slice.size();) {
      size_t last = first;
      while (last < slice.size() && slice[last].id == slice[first].id) ++last;
      apply_one(slice[first], last - first);
      first = last;
    }
    for (const auto& [number, delta] : live_deltas_) {
      auto pack = transaction_.find_pack(number);
      if (!pack) continue;  // a missing pack has no row; its chunks are known to be nowhere
      pack->live_size = static_cast<uint64_t>(
          std::max<int64_t>(static_cast<int64_t>(pack->live_size) + delta, 0));
      transaction_.put_pack(number, *pack);
    }
  }

  bool uncertain() const { return uncertain_; }

 private:
  void apply_one(const Change& change, uint64_t count) {
    ChunkEntry entry = transaction_.find_chunk(change.id).value_or(ChunkEntry{.kind = change.kind});
    auto record_size = static_cast<int64_t>(entry.record_size());
    if (adds_) {
      if (entry.references == 0 && entry.pack != 0) live_deltas_[entry.pack] += record_size;
      entry.references += count;
      entry.fresh = false;
    } else {
      if (entry.references < count) uncertain_ = true;
      bool was_live = entry.references > 0;
      entry.references -= std::min(entry.references, count);
      if (was_live && entry.references == 0) {
        entry.epoch = epoch_;
        if (entry.pack != 0) live_deltas_[entry.pack] -= record_size;
      }
      if (entry.references == 0 && entry.pack == 0) {
        transaction_.erase_chunk(change.id);
        return;
      }
    }
    transaction_.put_chunk(change.id, entry);
  }

  IndexTransaction& transaction_;
  bool adds_;
  uint32_t epoch_;
  bool uncertain_ = false;
  std::map<uint32_t, int64_t> live_deltas_;
};

// Collects the changes a walk gives and hands them on slice by slice.
class SliceCollector {
 public:
  SliceCollector(OpenStore& store, TimelineChange change)
      : store_(store), change_(std::move(change)) {}

  void add(const ChunkId& id, RecordKind kind) {
    if (seen_++ < change_.applied) return;  // done before an interruption
    slice_.push_back({id, kind});
    if (slice_.size() >= store_.reference_slice) write(false);
  }

  void lost(const ChunkId& id) {
    base::log().error("tree node {} cannot be read; what only it refers to is not counted",
                      id.hex());
    uncertain_ = true;
  }

  void finish() { write(true); }

 private:
  void write(bool last) {
    auto transaction = store_.index().write();
    SliceWriter writer(*transaction, change_.kind == TimelineChange::Kind::add);
    change_.applied += slice_.size();
    writer.apply(slice_);
    slice_.clear();
    // What is not known for certain is never freed before a recount.
    if (uncertain_ || writer.uncertain()) transaction->set_number("recount", 1);
    if (!last) {
      transaction->set_pending_change(change_);
    } else {
      transaction->set_pending_change(std::nullopt);
      if (change_.kind == TimelineChange::Kind::add) transaction->put_point(change_.point);
      else transaction->erase_point(change_.point);
    }
    transaction->commit();
  }

  OpenStore& store_;
  TimelineChange change_;
  std::vector<Change> slice_;
  uint64_t seen_ = 0;
  bool uncertain_ = false;
};

TimelineChange change_of(OpenStore& store, TimelineChange::Kind kind, const PublicManifest& point) {
  auto transaction = store.index().read();
  TimelineChange change;
  change.kind = kind;
  change.point = point;
  if (auto before = transaction->point_before(point)) change.before = before->disks;
  if (auto after = transaction->point_after(point)) change.after = after->disks;
  return change;
}

}  // namespace

void ReferenceCounter::add(const PublicManifest& point) {
  run(change_of(store_, TimelineChange::Kind::add, point));
}

void ReferenceCounter::remove(const PublicManifest& point) {
  run(change_of(store_, TimelineChange::Kind::remove, point));
}

void ReferenceCounter::finish_pending() {
  auto change = store_.index().read()->pending_change();
  if (change) run(*change);
}

void ReferenceCounter::run(TimelineChange change) {
  std::set<DiskKey> keys;
  for (const auto* disks : {&change.point.disks, &change.before, &change.after}) {
    for (const auto& disk : *disks) keys.insert(disk.key);
  }
  SliceCollector collector(store_, change);
  NodeLoader load = store_.node_loader();
  for (const DiskKey& key : keys) {
    walk_reference_changes(
        store_.shape, root_of(change.before, key), root_of(change.point.disks, key),
        root_of(change.after, key), load,
        [&](const ChunkId& id, RecordKind kind) { collector.add(id, kind); },
        [&](const ChunkId& id) { collector.lost(id); });
  }
  collector.finish();
}

}  // namespace images
