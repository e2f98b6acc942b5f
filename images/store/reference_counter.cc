#include "images/store/reference_counter.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

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
    // Once sorted, equal ids are adjacent and the index's pages are touched in order.
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

// Collects the changes of one kind and writes them slice by slice. A slice may contain the end of
// one change, several whole ones, and the beginning of another.
class SliceCollector {
 public:
  SliceCollector(StoreContext& store, TimelineChange::Kind kind)
      : store_(store), adds_(kind == TimelineChange::Kind::add) {}

  // Everything walk() yields until end() belongs to this change. `departure` is its number if it is
  // one.
  void begin(const TimelineChange& change, std::optional<uint64_t> departure) {
    current_ = {change, departure};
    seen_ = 0;
  }

  void add(const ChunkId& id, RecordKind kind) {
    if (seen_++ < current_->change.applied) return;  // done before an interruption
    slice_.push_back({id, kind});
    ++current_->change.applied;
    if (slice_.size() >= store_.reference_slice) write();
  }

  void lost(const ChunkId& id) {
    base::log().error("tree node {} cannot be read; what only it refers to is not counted",
                      id.hex());
    uncertain_ = true;
  }

  void end() {
    ended_.push_back(std::move(*current_));
    current_.reset();
  }

  // Also called when a slice is full.
  void write() {
    auto transaction = store_.index().write();
    SliceWriter writer(*transaction, adds_);
    writer.apply(slice_);
    uncertain_ |= writer.uncertain();
    // What is not known for certain is never freed before a recount.
    if (uncertain_) transaction->set_number("recount", 1);
    for (const Counted& each : ended_) {
      if (each.departure) transaction->erase_departure(*each.departure);
      if (adds_) transaction->put_point(each.change.point);
      else transaction->erase_point(each.change.point);  // already removed, except in older stores
    }
    std::optional<TimelineChange> pending;
    if (current_) {
      // From now on it is the change in progress, and no longer a departure to be started.
      pending = current_->change;
      if (current_->departure) transaction->erase_departure(*current_->departure);
    }
    transaction->set_pending_change(pending);
    transaction->commit();
    slice_.clear();
    ended_.clear();
  }

 private:
  struct Counted {
    TimelineChange change;
    std::optional<uint64_t> departure;
  };

  StoreContext& store_;
  const bool adds_;
  std::optional<Counted> current_;
  std::vector<Counted> ended_;  // and not yet written
  std::vector<Change> slice_;
  uint64_t seen_ = 0;  // of the current change
  bool uncertain_ = false;
};

void count(StoreContext& store, SliceCollector& collector, const TimelineChange& change,
           std::optional<uint64_t> departure) {
  std::set<DiskKey> keys;
  for (const auto* disks : {&change.point.disks, &change.before, &change.after}) {
    for (const auto& disk : *disks) keys.insert(disk.key);
  }
  collector.begin(change, departure);
  NodeLoader load = store.node_loader();
  for (const DiskKey& key : keys) {
    walk_reference_changes(
        store.shape, root_of(change.before, key), root_of(change.point.disks, key),
        root_of(change.after, key), load,
        [&](const ChunkId& id, RecordKind kind) { collector.add(id, kind); },
        [&](const ChunkId& id) { collector.lost(id); });
  }
  collector.end();
}

TimelineChange change_of(StoreContext& store, TimelineChange::Kind kind,
                         const PublicManifest& point) {
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
  finish_pending();
  SliceCollector collector(store_, TimelineChange::Kind::add);
  count(store_, collector, change_of(store_, TimelineChange::Kind::add, point), {});
  collector.write();
}

void ReferenceCounter::remove(const PublicManifest& point) {
  TimelineChange change = change_of(store_, TimelineChange::Kind::remove, point);
  auto transaction = store_.index().write();
  transaction->add_departure(change);
  transaction->erase_point(point);
  transaction->commit();
}

void ReferenceCounter::count_departures() {
  constexpr size_t kTogether = 1000;  // bounds memory
  finish_pending();
  while (true) {
    auto waiting = store_.index().read()->departures(kTogether);
    if (waiting.empty()) return;
    SliceCollector collector(store_, TimelineChange::Kind::remove);
    for (const auto& [number, change] : waiting) count(store_, collector, change, number);
    collector.write();
  }
}

void ReferenceCounter::finish_pending() {
  auto change = store_.index().read()->pending_change();
  if (!change) return;
  SliceCollector collector(store_, change->kind);
  count(store_, collector, *change, {});
  collector.write();
}

}  // namespace images
