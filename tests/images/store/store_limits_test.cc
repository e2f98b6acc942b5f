// The limits that docs/format.md names, reached; and the count of references against a plain
// recount.
#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/log.h"
#include "base/memory_file_system.h"
#include "base/scratch_directory.h"
#include "images/store/store_context.h"
#include "tests/images/store/index_contents.h"
#include "tests/images/store/store_model.h"

namespace images {
namespace {

// In memory: what counts here is numbers, not disks.
struct MemoryStore {
  base::ScratchDirectory scratch{std::filesystem::exists("/dev/shm") ? "/dev/shm" : "/tmp",
                                 "muletto-limits-test"};
  std::string index = scratch.path() + "/index";
  base::MemoryFileSystem files;

  explicit MemoryStore(uint32_t chunk_size = 4096) {
    files.make_directory("/store");
    init_store(files, "/store", {.chunk_size = chunk_size});
  }
  std::unique_ptr<StoreWriter> open(WriterLimits limits = {}) {
    limits.order_by_host_time = true;
    return StoreWriter::open(files, "/store", {}, index, limits);
  }
  IndexContents contents() { return index_contents(index, read_parameters(files, "/store").id); }
};

// A sync of single chunks of one disk: chunk number → seed.
PointId sync_places(StoreWriter& writer, const std::string& machine, uint64_t size,
                    uint64_t time_ms, const std::map<uint64_t, uint32_t>& places,
                    std::optional<PointId> base = {}) {
  auto sink = writer.begin({machine, {{"vda", size, base}}});
  uint32_t chunk_size = sink->hasher().chunk_size();
  Batch batch{0, 0, {}};
  std::vector<base::Bytes> contents;
  for (const auto& [index, seed] : places) {
    contents.push_back(chunk_of_seed(seed, chunk_size));
    batch.places.push_back(
        {index, 1, seed == 0 ? ChunkId{} : sink->hasher().id_of(contents.back())});
  }
  sink->send(batch, [&](size_t i) { return EncodedChunk{Codec::raw, contents[i]}; });
  PointDetails details;
  details.time_ms = time_ms;
  return sink->commit(details);
}

bool is_refused(const std::function<void()>& action) {
  try {
    action();
  } catch (const base::Error& error) {
    return error.code() == base::ErrorCode::invalid_argument;
  }
  return false;
}

bool full() { return std::getenv("MULETTO_FAULT_SWEEP") != nullptr; }

// References of chunks by the rule of docs/format.md, from nothing but the model.
std::map<ChunkId, uint64_t> recount(const ModelStore& model, const ChunkHasher& hasher) {
  std::map<std::string, std::map<std::pair<uint64_t, PointId>, const ModelContent*>> timelines;
  for (const auto& [id, point] : model) {
    timelines[point.machine][{point.time_ms, id}] = &point.disks.at("vda");
  }
  std::map<uint32_t, uint64_t> runs;
  for (const auto& [machine, timeline] : timelines) {
    std::vector<uint32_t> before;
    for (const auto& [place, content] : timeline) {
      before.resize(content->size());
      for (size_t i = 0; i < content->size(); ++i) {
        if ((*content)[i] != before[i] && (*content)[i] != 0) ++runs[(*content)[i]];
      }
      before = *content;
    }
  }
  std::map<ChunkId, uint64_t> references;
  for (const auto& [seed, count] : runs)
    references[hasher.id_of(chunk_of_seed(seed, hasher.chunk_size()))] += count;
  return references;
}

std::map<ChunkId, uint64_t> chunk_references(const MemoryStore& store, const StoreId& id) {
  std::map<ChunkId, uint64_t> references;
  auto index = ChunkIndex::open(store.index, id, false);
  index->read()->for_each_chunk([&](const ChunkId& chunk, const ChunkEntry& entry) {
    if (entry.references != 0 && entry.kind == format::RecordKind::chunk)
      references[chunk] = entry.references;
  });
  return references;
}

}  // namespace

TEST_CASE("limit: a disk of 64 TiB, its first and last chunk, with every chunk size there is") {
  for (uint32_t chunk_size : {4096u, 65536u, 1u << 20}) {
    MemoryStore store(chunk_size);
    auto writer = store.open();
    uint64_t last = kMaxDiskSize / chunk_size - 1;
    PointId first = sync_places(*writer, "m", kMaxDiskSize, 1, {{0, 5}, {last / 2, 6}, {last, 7}});
    PointId second = sync_places(*writer, "m", kMaxDiskSize, 2, {{last, 8}}, first);
    auto disk = writer->reader().open_disk(second, "vda");
    CHECK(disk->size() == kMaxDiskSize);
    base::Bytes bytes(chunk_size);
    for (auto [place, seed] :
         std::map<uint64_t, uint32_t>{{0, 5}, {1, 0}, {last / 2, 6}, {last - 1, 0}, {last, 8}}) {
      disk->read(place * chunk_size, bytes);
      CHECK(bytes == chunk_of_seed(seed, chunk_size));
    }
    CHECK(disk->extents(0, kMaxDiskSize).size() == 5);
    disk.reset();
    writer->delete_point(first);
    CHECK(writer->check({.deep = true}).good());
    CHECK(is_refused([&] { sync_places(*writer, "m", kMaxDiskSize + 512, 3, {{0, 1}}); }));
    CHECK(is_refused([&] { sync_places(*writer, "m", 100, 3, {{0, 1}}); }));
    CHECK(is_refused([&] { sync_places(*writer, "m", kMaxDiskSize, 3, {{last + 1, 1}}); }));
  }
}

TEST_CASE("limit: 10,000 points of one machine") {
  const uint32_t count = 10000;
  MemoryStore store;
  auto writer = store.open();
  std::vector<PointId> points;
  for (uint32_t i = 0; i < count; ++i) {
    std::map<uint64_t, uint32_t> change{{i % 200, i + 1}};
    points.push_back(sync_places(*writer, "m", 200 * 4096, i + 1, change,
                                 points.empty() ? std::nullopt : std::optional(points.back())));
  }
  CHECK(writer->reader().points_of("m").size() == count);
  CHECK(writer->reader().find_point("m@latest") == points.back());
  base::Bytes bytes(4096);
  writer->reader()
      .open_disk(points[count / 2], "vda")
      ->read(uint64_t{count / 2 % 200} * 4096, bytes);
  CHECK(bytes == chunk_of_seed(count / 2 + 1, 4096));
  for (uint32_t i = 0; i < count; i += 3) writer->delete_point(points[i]);
  CHECK(writer->check({}).good());
  writer.reset();
  IndexContents counted = store.contents();
  rebuild_index(store.files, "/store", store.index);
  CHECK(store.contents() == counted);
}

TEST_CASE("limit: 1,000 machines, with names in any script") {
  const std::vector<std::string> scripts{
      "сервер", "機械", "🦊", "ملف", "é", "e\u0301", "Ω ≈ 5", "../../etc/passwd", " "};
  MemoryStore store;
  auto writer = store.open();
  const uint32_t count = 1000;
  std::map<std::string, PointId> points;
  for (uint32_t i = 0; i < count; ++i) {
    std::string name = scripts[i % scripts.size()] + (i < scripts.size() ? "" : std::to_string(i));
    points[name] = sync_places(*writer, name, 4096, 1, {{0, i + 1}});
  }
  points[std::string(255, 'x')] = sync_places(*writer, std::string(255, 'x'), 4096, 1, {{0, 1}});
  CHECK(writer->figures().machine_count == points.size());
  for (const auto& [name, id] : points) {
    CHECK(writer->reader().find_point(name + "@latest") == id);
    CHECK(writer->reader().read_point(id).machine_name == name);
  }
  std::set<std::string> listed;
  for (const auto& point : writer->reader().points()) listed.insert(point.machine_name);
  CHECK(listed.size() == points.size());
  for (const std::string& bad :
       {std::string(), std::string(256, 'x'), std::string("a\nb"), std::string("\xff\xfe"),
        std::string("a\0b", 3), std::string("\xed\xa0\x80")}) {
    CHECK(is_refused([&] { sync_places(*writer, bad, 4096, 1, {{0, 1}}); }));
  }
}

TEST_CASE("limit: a definition too large for a manifest is refused before anything is written") {
  MemoryStore store;
  auto writer = store.open();
  auto sink = writer->begin({"m", {{"vda", 4096, {}}}});
  PointDetails details;
  details.definition.libvirt_xml = std::string(format::kMaxManifestSize, 'x');
  CHECK(is_refused([&] { sink->commit(details); }));
  sink.reset();
  sync_places(*writer, "m", 4096, 1, {{0, 1}});
  CHECK(writer->reader().points().size() == 1);
}

TEST_CASE(
    "after thousands of random additions and deletions, references are what a plain recount says") {
  auto level = base::log().level();
  base::log().set_level(spdlog::level::warn);
  MemoryStore store;
  std::mt19937 random(full() ? std::random_device{}() : 3u);
  ModelStore model;
  // Small slices: every change takes several transactions.
  auto writer = store.open({.pack_size = 1 << 20, .reference_slice = 7, .departures = 5});
  const int steps = full() ? 4000 : 1200;
  StoreId id = writer->reader().id();
  for (int step = 1; step <= steps; ++step) {
    if (model.size() > 12 || (model.size() > 2 && random() % 2 == 0)) {
      auto victim = std::next(model.begin(), static_cast<ptrdiff_t>(random() % model.size()));
      writer->delete_point(victim->first);
      model.erase(victim);
    } else {
      // Few seeds and places, so that runs are cut and joined all the time.
      ModelPoint point{
          "machine " + std::to_string(random() % 2), random() % 50, {{"vda", ModelContent(90)}}};
      for (uint32_t& seed : point.disks["vda"])
        seed = random() % 3 == 0 ? static_cast<uint32_t>(random() % 6) : 1;
      model[sync_model_point(*writer, point, {}, nullptr)] = point;
    }
    if (step % 100 != 0) continue;
    writer->figures();  // counts the points that left
    REQUIRE(chunk_references(store, id) == recount(model, writer->reader().hasher()));
    if (step % 400 != 0) continue;
    REQUIRE(differences(writer->reader(), model) == std::vector<std::string>{});
    writer.reset();
    IndexContents counted = store.contents();  // nodes too
    rebuild_index(store.files, "/store", store.index);
    REQUIRE(store.contents() == counted);
    writer = store.open({.pack_size = 1 << 20, .reference_slice = 7, .departures = 5});
  }
  base::log().set_level(level);
}

}  // namespace images
