#include "images/store_checker.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "images/layout.h"
#include "images/pack_scanner.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;
using format::PublicManifest;

// Longer lists help nobody; the count goes on.
constexpr size_t kMaxProblems = 1000;

class Checker {
 public:
  Checker(OpenStore& store, const CheckOptions& options) : store_(store), options_(options) {}

  CheckReport run(DamageNotes notes) {
    check_packs();
    if (notes == DamageNotes::keep) note_damage();
    check_points();
    return std::move(report_);
  }

 private:
  void problem(std::string text) {
    if (report_.problems.size() < kMaxProblems) report_.problems.push_back(std::move(text));
  }

  void stop_if_asked() {
    if (options_.stop.stop_requested()) throw Error(ErrorCode::cancelled, "the check was cancelled");
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
    try {
      auto contents = scan_pack(store_.files, store_.directory, store_.parameters.id, row.id, ScanDepth::every_record);
      for (const std::string& text : contents.problems) {
        // The tail of the pack that is being written is not yet what it will be.
        if (row.sealed) problem("pack " + row.id.hex() + ": " + text);
      }
      if (row.sealed && !contents.sealed) problem("pack " + row.id.hex() + " has lost its directory");
      std::unique_ptr<base::ReadableFile> file;
      if (options_.deep) file = store_.files.open(layout::pack_file(store_.directory, row.id));
      auto transaction = store_.index().read();
      for (const auto& record : contents.records) {
        ++report_.chunks_checked;
        auto entry = transaction->find_chunk(record.id);
        bool current = entry && entry->pack == number && entry->offset == record.offset;
        if (options_.deep && file && !content_is_right(*file, record)) {
          problem("pack " + row.id.hex() + ": the record at " + std::to_string(record.offset) +
                  " is not what its id says");
          continue;
        }
        if (current && entry->references != 0) good_live_size += entry->record_size();
      }
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled || error.code() == ErrorCode::unauthorized) throw;
      problem("pack " + row.id.hex() + " cannot be read: " + error.message());
    }
    auto now = store_.index().read()->find_pack(number);
    if (now && good_live_size < now->live_size) suspects_.insert(number);
  }

  bool content_is_right(const base::ReadableFile& file, const format::DirectoryEntry& record) {
    base::Bytes bytes(format::kRecordHeaderSize + record.stored_size);
    file.read_at(record.offset, bytes);
    auto header = format::decode_record_header(base::ByteView(bytes).first(format::kRecordHeaderSize));
    if (!header) return false;
    base::ByteView stored = base::ByteView(bytes).subspan(format::kRecordHeaderSize);
    try {
      if (header->kind == format::RecordKind::node) return store_.hasher.id_of(stored) == record.id;
      plain_.resize(store_.parameters.chunk_size);
      store_.codec.open_chunk(*header, stored, plain_);
      return store_.hasher.id_of(plain_) == record.id;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::unauthorized) throw;
      return false;
    }
  }

  // --- chunks ---

  // Which of the entries in suspect packs are damaged: reads each of them once more.
  void note_damage() {
    std::vector<ChunkId> damaged = damaged_ids();
    if (damaged.empty()) return;
    auto transaction = store_.index().write();
    for (const ChunkId& id : damaged) {
      auto entry = transaction->find_chunk(id);
      if (!entry || entry->damaged) continue;
      entry->damaged = true;
      transaction->put_chunk(id, *entry);
    }
    transaction->commit();
  }

  std::vector<ChunkId> damaged_ids() {
    std::vector<std::pair<ChunkId, ChunkEntry>> suspects;
    if (suspects_.empty()) return {};
    store_.index().read()->for_each_chunk([&](const ChunkId& id, const ChunkEntry& entry) {
      if (suspects_.count(entry.pack) != 0) suspects.emplace_back(id, entry);
    });
    std::vector<ChunkId> damaged;
    for (const auto& [id, entry] : suspects) {
      if (!is_readable(id, entry)) damaged.push_back(id);
    }
    return damaged;
  }

  // Whether the record is whole: its checksum, and with `deep` its content.
  bool is_readable(const ChunkId& id, const ChunkEntry& entry) {
    try {
      auto pack = store_.index().read()->find_pack(entry.pack);
      if (!pack) return false;
      auto file = store_.files.open(layout::pack_file(store_.directory, pack->id));
      base::Bytes bytes(entry.record_size());
      file->read_at(entry.offset, bytes);
      auto header = format::decode_record_header(base::ByteView(bytes).first(format::kRecordHeaderSize));
      if (!header || header->id != id || header->stored_size != entry.stored_size) return false;
      base::ByteView stored = base::ByteView(bytes).subspan(format::kRecordHeaderSize);
      if (base::checksum64(stored) != header->checksum) return false;
      return !options_.deep || content_is_right(*file, {entry.kind, entry.offset, entry.stored_size, id});
    } catch (const Error& error) {
      if (error.code() == ErrorCode::unauthorized) throw;
      return false;
    }
  }

  // --- points ---

  void check_points() {
    std::vector<PublicManifest> points;
    store_.index().read()->for_each_point([&](const PublicManifest& point) { points.push_back(point); });
    for (const PublicManifest& point : points) {
      stop_if_asked();
      ++report_.points_checked;
      bool good = check_manifest(point);
      for (const auto& disk : point.disks) {
        if (tree_is_whole(disk.root, static_cast<int>(store_.shape.height) - 1)) continue;
        problem("point " + point.id.hex() + ": a disk of it is damaged");
        good = false;
      }
      if (!good) report_.damaged.push_back(summary_of(point));
    }
  }

  PointSummary summary_of(const PublicManifest& point) {
    PointSummary summary{point.id, point.machine, "", point.time_ms, 0, point.consistency};
    for (const auto& disk : point.disks) summary.size += disk.size;
    try {
      summary.machine_name = store_.read_point(point.machine, point.id).machine_name;
    } catch (const Error&) {
      summary.machine_name = point.machine.hex();  // no key, or a damaged manifest
    }
    return summary;
  }

  bool check_manifest(const PublicManifest& point) {
    std::string path = layout::manifest_file(store_.directory, point.machine, point.id);
    try {
      base::Bytes bytes = base::read_file(store_.files, path, format::kMaxManifestSize);
      auto manifest = format::decode_public_manifest(bytes);
      bool same = manifest.id == point.id && manifest.machine == point.machine &&
                  manifest.disks.size() == point.disks.size();
      for (size_t i = 0; same && i < point.disks.size(); ++i) same = manifest.disks[i].root == point.disks[i].root;
      if (!same) problem("point " + point.id.hex() + ": its manifest is not what the index knows; run 'store rebuild'");
      if (same && store_.codec.can_open_chunks()) format::decode_manifest(bytes, store_.manifest_key());
      return same;
    } catch (const Error& error) {
      problem("point " + point.id.hex() + ": " + error.message());
      return false;
    }
  }

  // `level` is that of the node `id` names; -1: it names a chunk. What points share is looked at once.
  bool tree_is_whole(const ChunkId& id, int level) {
    if (id.is_zero()) return true;
    size_t key = std::hash<ChunkId>{}(id);
    if (level >= 0) {
      auto known = whole_.find(key);
      if (known != whole_.end()) return known->second;
    }
    bool whole = entry_is_whole(id);
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
      if (error.code() != ErrorCode::corrupt) throw;
      return false;
    }
  }

  OpenStore& store_;
  const CheckOptions& options_;
  CheckReport report_;
  base::Bytes plain_;
  std::unordered_set<uint32_t> suspects_;   // packs in which something that is referred to is not whole
  std::unordered_map<size_t, bool> whole_;  // nodes that were looked at
};

}  // namespace

CheckReport check_open_store(OpenStore& store, const CheckOptions& options, DamageNotes notes) {
  if (options.deep && !store.codec.can_open_chunks()) {
    throw Error(ErrorCode::unauthorized, "the store is encrypted; a deep check needs its key");
  }
  return Checker(store, options).run(notes);
}

}  // namespace images
