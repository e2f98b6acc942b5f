#include "images/store/compactor.h"

#include <algorithm>
#include <mutex>
#include <unordered_map>

#include "base/error.h"
#include "base/log.h"
#include "images/store/disk_order.h"
#include "images/store/pack_appender.h"
#include "images/store/pack_scanner.h"
#include "images/store/place/layout.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;

struct Candidate {
  uint32_t number = 0;
  PackEntry row;
  uint64_t staying_size = 0;  // bytes of records that would be copied
};

// A record that moves, from where to where.
struct Move {
  format::DirectoryEntry from;
  uint32_t old_pack = 0;
  uint32_t new_offset = 0;
};

class Compaction {
 public:
  Compaction(StoreContext& store, SyncRegistry& registry, TimelineGuard& timeline,
             const CompactOptions& options)
      : store_(store), registry_(registry), timeline_(timeline), options_(options), order_(store) {}

  CompactResult run() {
    std::vector<Candidate> candidates;
    for (Candidate& candidate : start()) {
      if (options_.stop.stop_requested()) return result_;
      if (examine(candidate)) candidates.push_back(candidate);
    }
    // Packs without live records come first and alone: on a full disk they make room for the copies
    // of the others.
    auto live = std::stable_partition(
        candidates.begin(), candidates.end(),
        [](const Candidate& candidate) { return candidate.staying_size == 0; });
    if (live != candidates.begin()) rewrite({candidates.begin(), live});
    candidates.erase(candidates.begin(), live);
    order_.find_places(options_.stop);
    std::stable_sort(candidates.begin(), candidates.end(), [&](const auto& a, const auto& b) {
      return order_.first_place(a.number) < order_.first_place(b.number);
    });
    rewrite_in_groups(candidates);
    return result_;
  }

 private:
  void rewrite_in_groups(const std::vector<Candidate>& candidates) {
    std::vector<Candidate> group;
    uint64_t group_size = 0;
    auto finish_group = [&] {
      // A single small pack would only be copied.
      bool worth_it =
          group.size() > 1 ||
          (group.size() == 1 && is_sparse(group.front().staying_size, group.front().row));
      if (worth_it && !options_.stop.stop_requested()) rewrite(group);
      group.clear();
      group_size = 0;
    };
    for (const Candidate& candidate : candidates) {
      if (group_size + candidate.staying_size > store_.pack_size * 3 / 4) finish_group();
      group.push_back(candidate);
      group_size += candidate.staying_size;
    }
    finish_group();
  }

  bool is_sparse(uint64_t staying_size, const PackEntry& row) const {
    return static_cast<double>(staying_size) <
           options_.rewrite_below * static_cast<double>(row.size);
  }

  bool is_small(const PackEntry& row) const { return row.size < store_.pack_size / 4; }

  std::vector<Candidate> start() {
    timeline_.require_sound();
    std::vector<Candidate> candidates;
    auto transaction = store_.index().write();
    if (transaction->number("recount", 0) != 0) {
      throw Error(
          ErrorCode::corrupt,
          "damaged tree nodes make it uncertain what is in use, so nothing is freed: 'store check' "
          "names "
          "the damaged points; delete them or sync their machines again, then run 'store rebuild'");
    }
    // What an unfinished sync left is kept until the second compaction after it, so that the sync
    // can continue with it.
    fresh_limit_ = static_cast<uint32_t>(transaction->number("compacted at", 0));
    auto epoch = static_cast<uint32_t>(transaction->number("epoch", 1) + 1);
    transaction->set_number("epoch", epoch);
    transaction->set_number("compacted at", epoch);
    transaction->for_each_pack([&](uint32_t number, const PackEntry& row) {
      // Small ones are merged with others even if everything in them is live.
      if (row.sealed && (is_sparse(row.live_size, row) || is_small(row)))
        candidates.push_back({number, row});
    });
    transaction->commit();
    return candidates;
  }

  // No sync relies on it, and it is not kept for a future sync.
  bool may_free(const ChunkId& id, const ChunkEntry& entry, uint32_t oldest_epoch) {
    if (entry.references != 0 || entry.epoch >= oldest_epoch) return false;
    if (entry.fresh && entry.epoch >= fresh_limit_) return false;
    return !registry_.pins(id);
  }

  void rewrite(const std::vector<Candidate>& group) {
    PackId new_pack = PackId::random();
    std::vector<Move> moves;
    std::vector<format::DirectoryEntry> directory;
    uint64_t new_size = 0;
    try {
      new_size = copy_records(group, new_pack, moves, directory);
      // No change of the timelines is partly counted, or failed, while something is freed.
      std::lock_guard timeline(timeline_.mutex);
      timeline_.require_sound();
      std::unique_lock lock(registry_.freeing);
      publish(group, new_pack, new_size, moves);
    } catch (const Error& error) {
      remove_pack(new_pack);
      if (error.code() == ErrorCode::busy) return;  // a sync needs what was to be freed
      throw;
    }
    uint64_t old_size = 0;
    for (const Candidate& candidate : group) {
      remove_pack(candidate.row.id);
      ++result_.packs_rewritten;
      old_size += candidate.row.size;
    }
    result_.bytes_freed += old_size - std::min(old_size, new_size);
  }

  // A pack that is not in the index. If it cannot be removed now, the next opening of the store
  // adds it to the index, and the compaction after that frees it.
  void remove_pack(const PackId& pack) {
    try {
      std::string name = layout::pack_file("", pack);
      if (store_.blobs.exists(name)) store_.blobs.remove(name);
    } catch (const Error& error) {
      base::log().warn("pack {} cannot be removed yet: {}", pack.hex(), error.message());
    }
  }

  // Finds out how much of it stays; false if nothing would be gained. A pack that is damaged, or
  // cannot be read, stays as it is: records that its directory does not list might still be
  // referred to.
  bool examine(Candidate& candidate) {
    try {
      auto contents =
          scan_pack(store_.blobs, store_.parameters.id, candidate.row.id, ScanDepth::directory);
      if (!contents.sealed || !contents.problems.empty()) return false;
      for (const auto& record : contents.records) {
        if (stays(candidate.number, record))
          candidate.staying_size += format::kRecordHeaderSize + record.stored_size;
      }
      if (!is_sparse(candidate.staying_size, candidate.row) && !is_small(candidate.row))
        return false;
      if (candidate.staying_size == 0) return true;
      for (const auto& record : contents.records) {
        if (record.kind == format::RecordKind::chunk) order_.want(record.id, candidate.number);
      }
      return true;
    } catch (const Error& error) {
      base::log().warn("pack {} is not compacted: {}", candidate.row.id.hex(), error.message());
      return false;
    }
  }

  // The records of a group that stay, in the disk order of the newest points; nodes, and chunks
  // held only by older points, come last, in the order of their packs.
  std::vector<Move> staying_records(const std::vector<Candidate>& group) {
    std::vector<Move> moves;
    for (const Candidate& candidate : group) {
      auto contents =
          scan_pack(store_.blobs, store_.parameters.id, candidate.row.id, ScanDepth::directory);
      for (const auto& record : contents.records) {
        if (stays(candidate.number, record)) moves.push_back({record, candidate.number, 0});
      }
    }
    std::stable_sort(moves.begin(), moves.end(), [&](const Move& a, const Move& b) {
      return order_.place_of(a.from.id) < order_.place_of(b.from.id);
    });
    return moves;
  }

  // Copies what is to stay into a new pack, durable when this returns; returns its size, 0 if
  // nothing stays.
  uint64_t copy_records(const std::vector<Candidate>& group, const PackId& new_pack,
                        std::vector<Move>& moves, std::vector<format::DirectoryEntry>& directory) {
    moves = staying_records(group);
    if (moves.empty()) return 0;
    PackFiles sources(store_.blobs);  // opened as needed: there may be thousands
    std::unordered_map<uint32_t, PackId> pack_ids;
    for (const Candidate& candidate : group) pack_ids[candidate.number] = candidate.row.id;
    base::Bytes buffer;
    auto pack = store_.place->packs().create(new_pack, NameDurable::at_creation);
    buffer = format::encode_pack_header(store_.parameters.id, new_pack);
    for (Move& move : moves) {
      const format::DirectoryEntry& record = move.from;
      uint64_t offset = pack->size() + buffer.size();
      if (offset > 2 * store_.pack_size) {
        throw Error(ErrorCode::busy, "syncs reused much of what was to be freed; compact again");
      }
      move.new_offset = static_cast<uint32_t>(offset);
      directory.push_back({record.kind, move.new_offset, record.stored_size, record.id});
      size_t start = buffer.size();
      buffer.resize(start + format::kRecordHeaderSize + record.stored_size);
      sources.open(pack_ids.at(move.old_pack))
          ->read_at(record.offset, base::MutableByteView(buffer).subspan(start));
      if (buffer.size() >= (1u << 20)) {
        pack->append(buffer);
        buffer.clear();
      }
    }
    base::Bytes tail = encode_pack_tail(pack->size() + buffer.size(), directory);
    buffer.insert(buffer.end(), tail.begin(), tail.end());
    pack->append(buffer);
    pack->flush();
    return pack->size();
  }

  bool stays(uint32_t pack, const format::DirectoryEntry& record) {
    auto entry = store_.index().read()->find_chunk(record.id);
    if (!entry || entry->pack != pack || entry->offset != record.offset) return false;  // a copy
    return !may_free(record.id, *entry, registry_.oldest_epoch());
  }

  // Points the index at the copies and removes the old packs, and what only they held, all at once.
  void publish(const std::vector<Candidate>& group, const PackId& new_pack, uint64_t new_size,
               const std::vector<Move>& moves) {
    auto transaction = store_.index().write();
    uint32_t new_number = 0;
    PackEntry new_row{new_pack, new_size, 0, true};
    if (new_size != 0) new_number = transaction->add_pack(new_row);
    for (const Move& move : moves) {
      auto entry = transaction->find_chunk(move.from.id);
      if (!entry || entry->pack != move.old_pack || entry->offset != move.from.offset) continue;
      entry->pack = new_number;
      entry->offset = move.new_offset;
      if (entry->references != 0) new_row.live_size += entry->record_size();
      transaction->put_chunk(move.from.id, *entry);
    }
    if (new_number != 0) transaction->put_pack(new_number, new_row);
    for (const Candidate& candidate : group) drop_pack(*transaction, candidate);
    transaction->commit();
  }

  // Entries that still point into the old pack were free when it was copied; they must still be
  // free.
  void drop_pack(IndexTransaction& transaction, const Candidate& candidate) {
    auto contents =
        scan_pack(store_.blobs, store_.parameters.id, candidate.row.id, ScanDepth::directory);
    for (const auto& record : contents.records) {
      auto entry = transaction.find_chunk(record.id);
      if (!entry || entry->pack != candidate.number || entry->offset != record.offset) continue;
      if (!may_free(record.id, *entry, registry_.oldest_epoch())) {
        throw Error(ErrorCode::busy, "a sync reused chunks that were being freed; compact again");
      }
      transaction.erase_chunk(record.id);
    }
    transaction.erase_pack(candidate.number);
  }

  StoreContext& store_;
  SyncRegistry& registry_;
  TimelineGuard& timeline_;
  const CompactOptions& options_;
  DiskOrder order_;
  CompactResult result_;
  uint32_t fresh_limit_ = 0;
};

}  // namespace

CompactResult compact_store(StoreContext& store, SyncRegistry& registry, TimelineGuard& timeline,
                            const CompactOptions& options) {
  return Compaction(store, registry, timeline, options).run();
}

}  // namespace images
