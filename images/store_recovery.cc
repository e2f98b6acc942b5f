#include "images/store_recovery.h"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/log.h"
#include "images/layout.h"
#include "images/pack_appender.h"
#include "images/pack_scanner.h"
#include "images/reference_counter.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;
using format::PublicManifest;

void list_pack(OpenStore& store, const PackId& pack, const PackContents& contents, uint32_t number) {
  auto transaction = store.index().write();
  auto epoch = static_cast<uint32_t>(transaction->number("epoch", 1));
  PackEntry row{pack, contents.size, 0, true};
  if (number == 0) {
    number = transaction->add_pack(row);
  } else if (auto known = transaction->find_pack(number)) {
    row.live_size = known->live_size;
    transaction->put_pack(number, row);
  }
  auto records = contents.records;
  std::sort(records.begin(), records.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  for (const auto& record : records) list_record(*transaction, record, number, epoch);
  transaction->commit();
}

// Takes one pack into the index; an unsealed one is cut behind its last whole record and sealed. `number`
// is its row, 0 if it has none yet. Returns how many records it holds.
size_t take_pack(OpenStore& store, const PackId& pack, uint32_t number, std::vector<std::string>& problems) {
  PackContents contents =
      scan_pack(store.files, store.directory, store.parameters.id, pack, ScanDepth::directory);
  for (const std::string& problem : contents.problems) {
    // An unsealed pack ends in the middle of what was being written when the power went: that is no damage.
    if (contents.sealed) problems.push_back("pack " + pack.hex() + ": " + problem);
  }
  std::string path = layout::pack_file(store.directory, pack);
  if (contents.records.empty() && number == 0) {
    store.files.remove(path);
    return 0;
  }
  if (!contents.sealed) {
    auto file = store.files.reopen(path, contents.records_end);
    file->append(encode_pack_tail(contents.records_end, contents.records));
    file->sync();
    contents.size = file->size();
  }
  list_pack(store, pack, contents, number);
  return contents.records.size();
}

// Every manifest that lies in the store, oldest first within a machine. Damaged ones are told and left out.
std::vector<PublicManifest> read_manifests(OpenStore& store, const IndexTransaction* known,
                                           std::unordered_set<PointId>& found,
                                           std::vector<std::string>& problems) {
  std::vector<PublicManifest> manifests;
  auto* index = const_cast<IndexTransaction*>(known);
  std::string top = layout::points_directory(store.directory);
  for (const std::string& machine_name : store.files.list(top)) {
    auto machine = layout::machine_of_name(machine_name);
    if (!machine) continue;
    for (const std::string& name : store.files.list(base::join_path(top, machine_name))) {
      auto point = layout::point_of_name(name);
      if (!point) continue;
      found.insert(*point);
      if (index != nullptr && index->find_point(*point)) continue;
      std::string path = layout::manifest_file(store.directory, *machine, *point);
      try {
        auto manifest = format::decode_public_manifest(base::read_file(store.files, path, format::kMaxManifestSize));
        if (manifest.id != *point || manifest.machine != *machine) {
          throw Error(ErrorCode::corrupt, "it is another point's manifest");
        }
        manifests.push_back(std::move(manifest));
      } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::unsupported) throw;
        problems.push_back("point " + point->hex() + ": " + error.message());
      }
    }
  }
  std::sort(manifests.begin(), manifests.end(), [](const PublicManifest& a, const PublicManifest& b) {
    return std::tie(a.machine, a.time_ms, a.id) < std::tie(b.machine, b.time_ms, b.id);
  });
  return manifests;
}

// False when the index cannot be mended and has to be rebuilt.
bool mend_packs(OpenStore& store, std::vector<std::string>& problems) {
  std::unordered_map<PackId, std::pair<uint32_t, bool>> rows;  // number, sealed
  bool rebuilding = false;
  {
    auto transaction = store.index().read();
    rebuilding = transaction->number("rebuilding", 0) != 0;
    transaction->for_each_pack([&](uint32_t number, const PackEntry& row) { rows[row.id] = {number, row.sealed}; });
  }
  if (rebuilding) return false;
  std::vector<PackId> packs = list_packs(store.files, store.directory);
  std::unordered_set<PackId> present(packs.begin(), packs.end());
  for (const auto& [pack, row] : rows) {
    if (present.count(pack) == 0) {
      base::log().warn("pack {} is gone; the index is made anew", pack.hex());
      return false;
    }
  }
  for (const PackId& pack : packs) {
    auto row = rows.find(pack);
    if (row == rows.end()) take_pack(store, pack, 0, problems);
    else if (!row->second.second) take_pack(store, pack, row->second.first, problems);
  }
  return true;
}

void mend_points(OpenStore& store, std::vector<std::string>& problems) {
  ReferenceCounter counter(store);
  counter.finish_pending();
  std::unordered_set<PointId> found;
  std::vector<PublicManifest> added, gone;
  {
    auto transaction = store.index().read();
    added = read_manifests(store, transaction.get(), found, problems);
    transaction->for_each_point([&](const PublicManifest& point) {
      if (found.count(point.id) == 0) gone.push_back(point);
    });
  }
  for (const PublicManifest& point : gone) counter.remove(point);
  for (const PublicManifest& point : added) counter.add(point);
}

bool try_mend(OpenStore& store, const std::string& index_directory) {
  try {
    bool closed_in_order = take_clean_mark(index_directory);
    if (!closed_in_order && !index_is_whole(index_directory, store.parameters.id)) return false;
    store.open_index(index_directory, true);
    std::vector<std::string> problems;
    if (!mend_packs(store, problems)) return false;
    mend_points(store, problems);
    for (const std::string& problem : problems) base::log().error("{}", problem);
    return true;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::not_found) throw;
    base::log().warn("the index cannot be used ({}); it is made anew", error.message());
    return false;
  }
}

}  // namespace

void recover_store(OpenStore& store, const std::string& index_directory) {
  if (try_mend(store, index_directory)) return;
  RebuildReport report = rebuild_from_packs(store, index_directory);
  for (const std::string& problem : report.problems) base::log().error("{}", problem);
}

RebuildReport rebuild_from_packs(OpenStore& store, const std::string& index_directory) {
  store.close_index();
  remove_index(index_directory);
  store.open_index(index_directory, true);
  auto set_rebuilding = [&](uint64_t value) {
    auto transaction = store.index().write();
    transaction->set_number("rebuilding", value);
    transaction->commit();
  };
  set_rebuilding(1);
  RebuildReport report;
  for (const PackId& pack : list_packs(store.files, store.directory)) {
    report.chunks_found += take_pack(store, pack, 0, report.problems);
    ++report.packs_read;
  }
  std::unordered_set<PointId> found;
  ReferenceCounter counter(store);
  for (const PublicManifest& point : read_manifests(store, nullptr, found, report.problems)) {
    counter.add(point);
    ++report.points_found;
  }
  set_rebuilding(0);
  return report;
}

}  // namespace images
