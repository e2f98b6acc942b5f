#include "images/store/store_recovery.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/log.h"
#include "images/store/pack_appender.h"
#include "images/store/pack_scanner.h"
#include "images/store/place/layout.h"
#include "images/store/record_checks.h"
#include "images/store/reference_counter.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;
using format::PublicManifest;

// --- packs
// -------------------------------------------------------------------------------------------

// There are two records with one id if a damaged one was sent again, or if a compaction was
// interrupted. The index must not refer to the damaged one, whichever is found first.
void recheck_indexed_record(StoreContext& store, IndexTransaction& transaction,
                            const format::DirectoryEntry& record, uint32_t number) {
  auto known = transaction.find_chunk(record.id);
  if (!known || !known->present()) return;
  if (known->pack == number && known->offset == record.offset) return;
  auto pack = transaction.find_pack(known->pack);
  bool whole = false;
  if (pack && store.blobs.exists(layout::pack_file("", pack->id))) {
    auto file = store.blobs.open(layout::pack_file("", pack->id));
    whole = record_is_whole(*file, {known->kind, known->offset, known->stored_size, record.id});
  }
  if (whole) return;
  known->damaged = true;
  transaction.put_chunk(record.id, *known);
}

void list_pack(StoreContext& store, const PackId& pack, const PackContents& contents,
               uint32_t number) {
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
  std::sort(records.begin(), records.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  for (const auto& record : records) {
    recheck_indexed_record(store, *transaction, record, number);
    list_record(*transaction, record, number, epoch);
  }
  transaction->commit();
}

// In a torn pack a record may have been found inside the bytes of another record, which a guest
// chose.
void drop_forged_records(StoreContext& store, const PackId& pack, PackContents& contents) {
  if (!store.codec.can_open_chunks()) return;  // then every record is verified when it is opened
  auto file = store.blobs.open(layout::pack_file("", pack));
  auto& records = contents.records;
  auto is_forged = [&](const auto& record) {
    return !record_content_is_right(store, *file, record);
  };
  records.erase(std::remove_if(records.begin(), records.end(), is_forged), records.end());
}

// A pack whose header was lost in a power cut, but which has records after it: they are moved to a
// new pack.
size_t salvage_headerless_pack(StoreContext& store, const PackId& pack,
                               const PackContents& contents) {
  auto source = store.blobs.open(layout::pack_file("", pack));
  PackId new_pack = PackId::random();
  base::Bytes bytes = format::encode_pack_header(store.parameters.id, new_pack);
  PackContents copy;
  for (format::DirectoryEntry record : contents.records) {
    size_t offset = bytes.size();
    bytes.resize(offset + format::kRecordHeaderSize + record.stored_size);
    source->read_at(record.offset, base::MutableByteView(bytes).subspan(offset));
    record.offset = static_cast<uint32_t>(offset);
    copy.records.push_back(record);
  }
  base::Bytes tail = encode_pack_tail(bytes.size(), copy.records);
  bytes.insert(bytes.end(), tail.begin(), tail.end());
  store.blobs.put(layout::pack_file("", new_pack), bytes);
  copy.size = bytes.size();
  list_pack(store, new_pack, copy, 0);
  store.blobs.remove(layout::pack_file("", pack));
  return copy.records.size();
}

// Enters one pack into the index; an unsealed one is truncated after its last whole record and
// sealed. `number` is its row, 0 if it has none yet. Returns how many records it contains.
size_t index_pack(StoreContext& store, const PackId& pack, uint32_t number,
                  std::vector<std::string>& problems) {
  PackContents contents = scan_pack(store.blobs, store.parameters.id, pack, ScanDepth::directory);
  for (const std::string& problem : contents.problems) {
    // An unsealed pack ends in the middle of what was being written when the power failed: that is
    // not damage.
    if (contents.sealed || contents.size > kMaxPackFile)
      problems.push_back("pack " + pack.hex() + ": " + problem);
  }
  if (contents.size > kMaxPackFile) return 0;  // whatever it is, we must not remove it
  if (!contents.sealed) drop_forged_records(store, pack, contents);
  if (contents.records.empty() && number == 0) {
    store.blobs.remove(layout::pack_file("", pack));
    return 0;
  }
  if (contents.header_is_damaged && number == 0)
    return salvage_headerless_pack(store, pack, contents);
  auto writer =
      store.place->packs().take_over(pack, contents.sealed ? contents.size : contents.records_end);
  if (!contents.sealed) writer->append(encode_pack_tail(contents.records_end, contents.records));
  writer->flush();
  contents.size = writer->size();
  list_pack(store, pack, contents, number);
  return contents.records.size();
}

// False if the index cannot be repaired and has to be rebuilt.
bool repair_packs(StoreContext& store, std::vector<std::string>& problems) {
  std::unordered_map<PackId, std::pair<uint32_t, bool>> rows;  // number, sealed
  bool rebuilding = false;
  {
    auto transaction = store.index().read();
    rebuilding = transaction->number("rebuilding", 0) != 0;
    transaction->for_each_pack([&](uint32_t number, const PackEntry& row) {
      rows[row.id] = {number, row.sealed};
    });
  }
  if (rebuilding) return false;
  std::vector<PackId> packs = collect_packs(store.blobs);
  std::unordered_set<PackId> present(packs.begin(), packs.end());
  for (const auto& [pack, row] : rows) {
    if (present.count(pack) == 0) {
      base::log().warn("pack {} is missing; rebuilding the index", pack.hex());
      return false;
    }
  }
  for (const PackId& pack : packs) {
    auto row = rows.find(pack);
    if (row == rows.end()) index_pack(store, pack, 0, problems);
    else if (!row->second.second) index_pack(store, pack, row->second.first, problems);
  }
  return true;
}

// --- points
// ------------------------------------------------------------------------------------------

struct FoundPoints {
  std::unordered_set<PointId> names;    // of all manifests
  std::vector<PublicManifest> unknown;  // those not in the index, oldest first within a machine
  bool all_readable = true;
};

void read_unknown(StoreContext& store, const MachineId& machine, const PointId& point,
                  FoundPoints& found, std::vector<std::string>& problems) {
  std::string name = layout::manifest_file("", machine, point);
  try {
    auto manifest = format::decode_public_manifest(store.blobs.get(name, format::kMaxManifestSize));
    if (manifest.id != point || manifest.machine != machine) {
      throw Error(ErrorCode::corrupt, "it is another point's manifest");
    }
    found.unknown.push_back(std::move(manifest));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::unsupported) throw;
    problems.push_back("point " + point.hex() + ": " + error.message());
    found.all_readable = false;
  }
}

// Every manifest in the store. Damaged ones are reported and left out. What is found is made
// durable, and so is what is missing: a manifest that was removed does not reappear.
FoundPoints find_points(StoreContext& store, std::vector<std::string>& problems) {
  FoundPoints found;
  std::string top = layout::points_directory("");
  store.blobs.sync_names(top);
  for (const std::string& machine_name : store.blobs.list(top)) {
    auto machine = layout::machine_of_name(machine_name);
    if (!machine) continue;
    std::string folder = layout::machine_directory("", *machine);
    std::vector<std::string> names = store.blobs.list_tidied(folder);
    store.blobs.sync_names(folder);
    auto transaction = store.index().read();
    for (const std::string& name : names) {
      auto point = layout::point_of_name(name);
      if (!point) continue;
      found.names.insert(*point);
      if (!transaction->find_point(*point)) read_unknown(store, *machine, *point, found, problems);
    }
  }
  std::sort(found.unknown.begin(), found.unknown.end(),
            [](const PublicManifest& a, const PublicManifest& b) {
              return std::tie(a.machine, a.dates.order, a.id) <
                     std::tie(b.machine, b.dates.order, b.id);
            });
  return found;
}

// Returns how many points were added.
size_t repair_points(StoreContext& store, std::vector<std::string>& problems) {
  ReferenceCounter counter(store);
  counter.finish_pending();
  FoundPoints found = find_points(store, problems);
  std::vector<PublicManifest> gone;
  store.index().read()->for_each_point([&](const PublicManifest& point) {
    if (found.names.count(point.id) == 0) gone.push_back(point);
  });
  if (!found.all_readable) {
    // What the unreadable manifest refers to may become readable one day: it is not freed.
    auto transaction = store.index().write();
    transaction->set_number("recount", 1);
    transaction->commit();
  }
  for (const PublicManifest& point : gone) counter.remove(point);
  for (const PublicManifest& point : found.unknown) counter.add(point);
  return found.unknown.size();
}

bool try_mend(StoreContext& store, const std::string& index_directory) {
  try {
    bool closed_in_order = take_clean_mark(index_directory);
    if (!closed_in_order && !index_is_whole(index_directory, store.parameters.id)) return false;
    store.open_index(index_directory, true);
    std::vector<std::string> problems;
    if (!repair_packs(store, problems)) return false;
    repair_points(store, problems);
    for (const std::string& problem : problems) base::log().error("{}", problem);
    return true;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::not_found) throw;
    base::log().warn("the index cannot be used ({}); rebuilding it", error.message());
    return false;
  }
}

}  // namespace

void recover_store(StoreContext& store, const std::string& index_directory) {
  if (try_mend(store, index_directory)) return;
  RebuildReport report = rebuild_from_packs(store, index_directory);
  for (const std::string& problem : report.problems) base::log().error("{}", problem);
}

RebuildReport rebuild_from_packs(StoreContext& store, const std::string& index_directory) {
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
  for (const PackId& pack : collect_packs(store.blobs)) {
    report.chunks_found += index_pack(store, pack, 0, report.problems);
    ++report.packs_read;
  }
  report.points_found = repair_points(store, report.problems);
  set_rebuilding(0);
  return report;
}

}  // namespace images
