#include "images/store/store_checker.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "images/format/store_format.h"
#include "images/store/pack_scanner.h"
#include "images/store/place/layout.h"
#include "images/store/record_checks.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;
using format::PublicManifest;

// Longer lists help nobody; counting continues.
constexpr size_t kMaxProblems = 1000;

class Checker {
 public:
  Checker(StoreContext& store, const CheckOptions& options) : store_(store), options_(options) {}

  CheckReport run(DamageNotes notes) {
    check_key_file();
    check_packs();
    if (notes == DamageNotes::keep) note_damage();
    check_points();
    check_manifests();
    return std::move(report_);
  }

 private:
  void problem(std::string text) {
    if (report_.problems.size() < kMaxProblems) report_.problems.push_back(std::move(text));
  }

  void stop_if_asked() {
    if (options_.stop.stop_requested())
      throw Error(ErrorCode::cancelled, "the check was cancelled");
  }

  // --- the key ---

  // Its bytes can be verified without a key. The format file was read to get here.
  void check_key_file() {
    if (!store_.parameters.encrypted) return;
    try {
      format::decode_wrapped_key(store_.blobs.get(layout::key_file(""), 4096));
    } catch (const Error& error) {
      problem("the key file is damaged; put back a copy of it: " + error.message());
    }
  }

  // --- packs ---

  void check_packs() {
    std::vector<std::pair<uint32_t, PackEntry>> rows;
    uint64_t total = 0, done = 0;
    store_.index().read()->for_each_pack([&](uint32_t number, const PackEntry& row) {
      rows.emplace_back(number, row);
      total += row.size;
    });
    for (const auto& [number, row] : rows) {
      stop_if_asked();
      check_pack(number, row);
      ++report_.packs_checked;
      done += row.size;
      if (options_.on_progress) options_.on_progress(done, total);
    }
  }

  void check_pack(uint32_t number, const PackEntry& row) {
    uint64_t good_live_size = 0;
    // A compaction may remove the pack at any moment, and its row before that.
    auto is_still_listed = [&] { return store_.index().read()->find_pack(number).has_value(); };
    try {
      auto contents =
          scan_pack(store_.blobs, store_.parameters.id, row.id, ScanDepth::every_record);
      for (const std::string& text : contents.problems) {
        // The tail of the pack that is being written is not final yet.
        if (row.sealed) problem("pack " + row.id.hex() + ": " + text);
      }
      if (row.sealed && !contents.sealed)
        problem("pack " + row.id.hex() + " has lost its directory");
      std::unique_ptr<base::ReadableFile> file;
      if (options_.deep) file = store_.blobs.open(layout::pack_file("", row.id));
      auto transaction = store_.index().read();
      for (const auto& record : contents.records) {
        ++report_.chunks_checked;
        auto entry = transaction->find_chunk(record.id);
        bool current = entry && entry->pack == number && entry->offset == record.offset;
        if (file && !record_content_is_right(store_, *file, record)) {
          problem("pack " + row.id.hex() + ": the record at " + std::to_string(record.offset) +
                  " is not what its id says");
          continue;
        }
        if (current && entry->references != 0) good_live_size += entry->record_size();
      }
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled || error.code() == ErrorCode::unauthorized) throw;
      if (is_still_listed())
        problem("pack " + row.id.hex() + " cannot be read: " + error.message());
    }
    auto now = store_.index().read()->find_pack(number);
    if (now && good_live_size < now->live_size) suspects_.insert(number);
  }

  // --- chunks ---

  // Which of the entries in suspect packs, or found damaged once, are damaged: reads each of them
  // once more.
  void note_damage() {
    std::vector<std::pair<ChunkId, ChunkEntry>> changed;
    for (auto& [id, entry] : doubtful_entries()) {
      if (is_readable(id, entry) == entry.damaged) changed.emplace_back(id, entry);
    }
    if (changed.empty()) return;
    auto transaction = store_.index().write();
    for (auto& [id, entry] : changed) {
      // Not if it was meanwhile moved, sent again or lost its last reference.
      if (transaction->find_chunk(id) != entry) continue;
      entry.damaged = !entry.damaged;
      transaction->put_chunk(id, entry);
    }
    transaction->commit();
  }

  std::vector<std::pair<ChunkId, ChunkEntry>> doubtful_entries() {
    std::vector<std::pair<ChunkId, ChunkEntry>> doubtful;
    store_.index().read()->for_each_chunk([&](const ChunkId& id, const ChunkEntry& entry) {
      if (entry.pack != 0 && (entry.damaged || suspects_.count(entry.pack) != 0))
        doubtful.emplace_back(id, entry);
    });
    return doubtful;
  }

  // Whether the record is intact: its checksum, and with `deep` its content.
  bool is_readable(const ChunkId& id, const ChunkEntry& entry) {
    try {
      auto pack = store_.index().read()->find_pack(entry.pack);
      if (!pack) return false;
      auto file = store_.blobs.open(layout::pack_file("", pack->id));
      format::DirectoryEntry record{entry.kind, entry.offset, entry.stored_size, id};
      return record_is_whole(*file, record) &&
             (!options_.deep || record_content_is_right(store_, *file, record));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::unauthorized) throw;
      return false;
    }
  }

  // --- points ---

  void check_points() {
    std::vector<PublicManifest> points;
    store_.index().read()->for_each_point(
        [&](const PublicManifest& point) { points.push_back(point); });
    for (const PublicManifest& point : points) {
      stop_if_asked();
      ++report_.points_checked;
      std::vector<std::string> problems;
      check_manifest(point, problems);
      for (const auto& disk : point.disks) {
        if (tree_is_whole(disk.root, static_cast<int>(store_.shape.height) - 1)) continue;
        problems.push_back("a disk of it is damaged");
      }
      // One that was deleted meanwhile may be missing.
      if (problems.empty() || !store_.index().read()->find_point(point.id)) continue;
      for (const std::string& text : problems) problem("point " + point.id.hex() + ": " + text);
      report_.damaged.push_back(summary_of(point));
    }
  }

  // Manifests that are not in the index because they cannot be read.
  void check_manifests() {
    for (const std::string& machine_name : store_.blobs.list(layout::points_directory(""))) {
      auto machine = layout::machine_of_name(machine_name);
      if (!machine) continue;
      for (const std::string& name : store_.blobs.list(layout::machine_directory("", *machine))) {
        auto point = layout::point_of_name(name);
        if (point && !store_.index().read()->find_point(*point)) check_unlisted(*machine, *point);
      }
    }
  }

  void check_unlisted(const MachineId& machine, const PointId& point) {
    try {
      std::string name = layout::manifest_file("", machine, point);
      format::decode_public_manifest(store_.blobs.get(name, format::kMaxManifestSize));
      return;  // a commit or a deletion in progress
    } catch (const Error& error) {
      if (error.code() == ErrorCode::not_found) return;
      problem("point " + point.hex() + ": " + error.message());
      report_.damaged.push_back({point, machine, machine.hex(), 0, 0, Consistency::crash, {}});
    }
  }

  PointSummary summary_of(const PublicManifest& point) {
    PointSummary summary{point.id, point.machine,     "",         point.time_ms,
                         0,        point.consistency, point.dates};
    for (const auto& disk : point.disks) summary.size += disk.size;
    try {
      summary.machine_name = store_.read_point(point.machine, point.id).machine_name;
    } catch (const Error&) {
      summary.machine_name = point.machine.hex();  // no key, or a damaged manifest
    }
    return summary;
  }

  void check_manifest(const PublicManifest& point, std::vector<std::string>& problems) {
    std::string name = layout::manifest_file("", point.machine, point.id);
    try {
      base::Bytes bytes = store_.blobs.get(name, format::kMaxManifestSize);
      auto manifest = format::decode_public_manifest(bytes);
      bool same = manifest.id == point.id && manifest.machine == point.machine &&
                  manifest.disks.size() == point.disks.size();
      for (size_t i = 0; same && i < point.disks.size(); ++i)
        same = manifest.disks[i].root == point.disks[i].root;
      if (!same) problems.push_back("its manifest differs from the index; run 'store rebuild'");
      else if (store_.codec.can_open_chunks())
        format::decode_manifest(bytes, store_.manifest_key());
    } catch (const Error& error) {
      problems.push_back(error.message());
    }
  }

  // `level` is that of the node `id` names; -1: it names a chunk. Shared subtrees are examined
  // once.
  bool tree_is_whole(const ChunkId& id, int level) {
    if (id.is_zero()) return true;
    size_t key = std::hash<ChunkId>{}(id);
    if (level >= 0) {
      auto known = whole_.find(key);
      if (known != whole_.end()) return known->second;
    }
    bool whole =
        entry_is_whole(id) || entry_is_whole(id);  // once more: it may just have been moved
    if (whole && level >= 0) whole = children_are_whole(id, level);
    if (level >= 0) whole_[key] = whole;
    return whole;
  }

  bool entry_is_whole(const ChunkId& id) {
    auto entry = store_.index().read()->find_chunk(id);
    if (!entry || !entry->present()) return false;
    return suspects_.count(entry->pack) == 0 || is_readable(id, *entry);
  }

  bool children_are_whole(const ChunkId& id, int level) {
    try {
      auto node = store_.records().read_node(id);
      if (node->level != level) return false;
      bool whole = true;
      for (const ChunkId& child : node->children) whole = tree_is_whole(child, level - 1) && whole;
      return whole;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::io) throw;
      return false;
    }
  }

  StoreContext& store_;
  const CheckOptions& options_;
  CheckReport report_;
  // Packs in which something that is referred to is damaged.
  std::unordered_set<uint32_t> suspects_;
  std::unordered_map<size_t, bool> whole_;  // nodes that were examined
};

}  // namespace

CheckReport check_open_store(StoreContext& store, const CheckOptions& options, DamageNotes notes) {
  if (options.deep && !store.codec.can_open_chunks()) {
    throw Error(ErrorCode::unauthorized, "the store is encrypted; a deep check needs its key");
  }
  return Checker(store, options).run(notes);
}

}  // namespace images
