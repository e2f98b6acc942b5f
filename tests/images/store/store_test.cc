#include <catch2/catch.hpp>

#include <chrono>
#include <filesystem>

#include "base/error.h"
#include "base/scratch_directory.h"
#include "images/format/store_format.h"
#include "images/store/pack_scanner.h"
#include "images/store/place/layout.h"
#include "images/store/place/local_place.h"
#include "images/store/store_context.h"
#include "tests/images/store/index_contents.h"
#include "tests/images/store/store_model.h"

namespace images {
namespace {

constexpr uint32_t kChunk = 4096;

struct TestStore {
  base::ScratchDirectory scratch{"/tmp", "muletto-store-test"};
  std::string path = scratch.path() + "/store";
  base::FileSystem& files = base::real_file_system();
  KeySource key;

  explicit TestStore(KeySource source = {}) : key(std::move(source)) {
    init_store(files, path, {.chunk_size = kChunk, .key = key, .scrypt_log2_n = 14});
  }
  std::unique_ptr<StoreWriter> open(WriterLimits limits = {}) {
    limits.order_by_host_time = true;
    return StoreWriter::open(files, path, key, "", limits);
  }
};

IndexContents contents_of(const std::string& store) {
  return index_contents(layout::index_directory(store),
                        read_parameters(base::real_file_system(), store).id);
}

ModelPoint first_point(std::mt19937& random, const std::string& machine) {
  ModelPoint point;
  point.machine = machine;
  ModelContent content(600);  // more than one leaf of the tree
  change_at_random(content, 200, random);
  point.disks["vda"] = content;
  if (random() % 2 == 0)
    point.disks["vdb"] = ModelContent(100, static_cast<uint32_t>(random() % 5));
  return point;
}

// One step on store and model: a sync, at any place in time, or a deletion.
void random_step(StoreWriter& writer, ModelStore& model, std::mt19937& random) {
  if (model.size() > 3 && random() % 3 == 0) {
    auto victim = std::next(model.begin(), static_cast<ptrdiff_t>(random() % model.size()));
    writer.delete_point(victim->first);
    model.erase(victim);
    return;
  }
  std::string machine = "machine-" + std::to_string(random() % 3);
  std::vector<PointId> bases;
  for (const auto& [id, point] : model) {
    if (point.machine == machine) bases.push_back(id);
  }
  ModelPoint point = first_point(random, machine);
  std::optional<PointId> base;
  if (!bases.empty() && random() % 8 != 0) {
    base = bases[random() % bases.size()];
    point = model.at(*base);
    for (auto& [name, content] : point.disks) change_at_random(content, random() % 40, random);
  }
  point.time_ms = random() % 1000000;
  PointId id = sync_model_point(writer, point, base, base ? &model.at(*base) : nullptr);
  model[id] = point;
}

unsigned test_seed() {
  const char* given = std::getenv("MULETTO_TEST_SEED");
  return given != nullptr ? static_cast<unsigned>(std::stoul(given)) : std::random_device{}();
}

}  // namespace

TEST_CASE("random syncs, deletions, compactions and rebuilds agree with a model") {
  unsigned seed = test_seed();
  INFO("MULETTO_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  TestStore store(seed % 2 == 0 ? KeySource{} : KeySource{"correct horse", {}});
  ModelStore model;
  auto writer = store.open();
  for (int step = 0; step < 300; ++step) {
    random_step(*writer, model, random);
    if (step % 50 == 20) writer->compact({.rewrite_below = 0.9, .stop = {}});
    if (step % 60 == 30) {
      writer.reset();
      writer = store.open();
    }
    if (step % 100 == 99) {
      REQUIRE(differences(writer->reader(), model) == std::vector<std::string>{});
      CheckReport report = writer->check({.deep = true, .on_progress = {}, .stop = {}});
      REQUIRE(report.problems == std::vector<std::string>{});
      writer.reset();
      IndexContents counted = contents_of(store.path);
      rebuild_index(store.files, store.path);
      REQUIRE(contents_of(store.path) == counted);
      writer = store.open();
    }
  }
}

TEST_CASE("deleting every point gives back every byte") {
  TestStore store;
  std::mt19937 random(7);
  auto writer = store.open();
  ModelStore model;
  for (int step = 0; step < 30; ++step) random_step(*writer, model, random);
  while (!model.empty()) {
    writer->delete_point(model.begin()->first);
    model.erase(model.begin());
  }
  writer.reset();  // seals the open pack
  writer = store.open();
  writer->compact();
  writer->compact();
  StoreFigures figures = writer->figures();
  CHECK(figures.point_count == 0);
  CHECK(figures.live_size == 0);
  CHECK(figures.chunk_count == 0);
  CHECK(figures.pack_count == 0);
}

TEST_CASE("points that are deleted are gone at once, and counted together, also after a crash") {
  TestStore store;
  auto writer = store.open({.departures = 5});
  std::vector<PointId> ids;
  std::map<size_t, uint64_t> live_sizes;  // with so many points
  auto live_size = [&] { return contents_of(store.path).live_size; };
  // Each point has a chunk of its own, shares one with its neighbour, and one with all.
  for (uint32_t i = 0; i < 8; ++i) {
    ModelPoint point{"m", i + 1, {{"vda", {100 + i, 200 + i / 2, 300}}}};
    ids.push_back(sync_model_point(*writer, point, {}, nullptr));
    live_sizes[i + 1] = live_size();
  }
  auto erase_newest = [&] {
    writer->delete_point(ids.back());
    ids.pop_back();
    CHECK(writer->reader().points().size() == ids.size());
    CHECK(contents_of(store.path).points.size() == ids.size());
  };
  for (int i = 0; i < 4; ++i) erase_newest();
  CHECK(live_size() == live_sizes[8]);
  SECTION("the writer dies") {
    // What lies there now is what its successor finds.
    std::string copy = store.scratch.path() + "/copy";
    std::filesystem::copy(store.path, copy, std::filesystem::copy_options::recursive);
    StoreWriter::open(store.files, copy)->check({});
    CHECK(contents_of(copy).live_size == live_sizes[4]);
  }
  SECTION("one more is deleted") {
    erase_newest();
    CHECK(live_size() == live_sizes[3]);
  }
  SECTION("a point enters between those that are there") {
    ModelPoint between{"m", 2, {{"vda", {101, 7, 300}}}};
    ids.push_back(sync_model_point(*writer, between, {}, nullptr));
    erase_newest();
    CHECK(writer->figures().live_size == live_sizes[4]);
  }
  SECTION("somebody asks") { CHECK(writer->figures().live_size == live_sizes[4]); }
  SECTION("the store is closed") {
    writer.reset();
    CHECK(live_size() == live_sizes[4]);
  }
  SECTION("space is to come back") {
    writer.reset();
    writer = store.open({.departures = 5});
    uint64_t size = writer->figures().pack_size;
    while (!ids.empty()) erase_newest();
    writer->compact();
    CHECK(writer->figures().pack_size < size);
    CHECK(writer->figures().live_size == 0);
  }
}

TEST_CASE("a reader continues while its point's neighbours are deleted and packs are rewritten") {
  TestStore store;
  std::mt19937 random(11);
  auto writer = store.open();
  ModelPoint point = first_point(random, "m");
  PointId kept = sync_model_point(*writer, point, {}, nullptr);
  ModelPoint other = first_point(random, "m");
  other.time_ms = 5;
  PointId gone = sync_model_point(*writer, other, {}, nullptr);
  auto reader = StoreReader::open(store.files, store.path);
  auto disk = reader->open_disk(kept, "vda");
  base::Bytes before(disk->size());
  disk->read(0, before);
  CHECK_THROWS_AS(writer->delete_point(kept), base::Error);
  writer->delete_point(gone);
  writer.reset();
  writer = store.open();
  CompactResult result = writer->compact({.rewrite_below = 1.0, .stop = {}});
  CHECK(result.packs_rewritten > 0);
  auto fresh = StoreReader::open(store.files, store.path, {}, {.chunk_cache_size = 0});
  base::Bytes after(disk->size());
  fresh->open_disk(kept, "vda")->read(0, after);
  CHECK(before == after);
  base::Bytes again(disk->size());
  disk->read(0, again);
  CHECK(before == again);
  disk.reset();
  writer->delete_point(kept);
}

TEST_CASE("compaction lays the newest point's chunks down in the order of its disk") {
  TestStore store;
  auto writer = store.open();
  ModelStore model;
  ModelPoint point{"m", 1000, {{"vda", ModelContent(64, 0)}}};
  std::vector<PointId> ids;
  // Each sync brings a few chunks, from the disk's end to its begin: packs of their own, in the
  // wrong order, with a chunk between them that the next point has no more.
  for (uint32_t step = 0; step < 8; ++step) {
    ModelPoint next = point;
    next.time_ms = 1000 + step;
    for (uint32_t i = 0; i < 8; ++i) next.disks["vda"][(7 - step) * 8 + i] = 1 + step * 8 + i;
    next.disks["vda"][step == 7 ? 63 : 0] = 100 + step;
    std::optional<PointId> base;
    if (!ids.empty()) base = ids.back();
    ids.push_back(sync_model_point(*writer, next, base, base ? &point : nullptr));
    writer.reset();  // seals its pack
    writer = store.open();
    point = next;
  }
  for (size_t i = 0; i + 1 < ids.size(); ++i) writer->delete_point(ids[i]);
  model[ids.back()] = point;
  writer->compact({});
  writer->compact({});  // what an unfinished sync may still want is freed by the second
  CHECK(differences(writer->reader(), model).empty());
  writer.reset();

  std::shared_ptr<StorePlace> place = local_place(store.files, store.path);
  auto packs = collect_packs(place->blobs());
  REQUIRE(packs.size() == 1);
  auto contents =
      scan_pack(place->blobs(), read_parameters(*place).id, packs.front(), ScanDepth::directory);
  std::vector<ChunkId> laid_down, on_disk;
  for (const auto& record : contents.records) {
    if (record.kind == format::RecordKind::chunk) laid_down.push_back(record.id);
  }
  auto open_files = open_store_context(place, {}, KeyUse::optional);
  for (uint32_t seed : point.disks["vda"]) {
    base::Bytes chunk = chunk_of_seed(seed, kChunk);
    if (seed != 0) on_disk.push_back(open_files->hasher.id_of(chunk));
  }
  CHECK(laid_down == on_disk);
}

TEST_CASE("a second writer is refused, readers are not") {
  TestStore store;
  auto writer = store.open();
  try {
    store.open();
    FAIL("the second writer was let in");
  } catch (const base::Error& error) {
    CHECK(error.code() == base::ErrorCode::busy);
  }
  CHECK(StoreReader::open(store.files, store.path)->points().empty());
}

TEST_CASE("a wrong or missing key is told, and a changed one works") {
  KeySource first{"first passphrase", {}}, second{"", base::Bytes(64, 7)};
  TestStore store(first);
  ModelPoint point{"m", 1, {{"vda", ModelContent{1, 2, 3}}}};
  {
    auto writer = store.open();
    sync_model_point(*writer, point, {}, nullptr);
  }
  auto code_of = [&](const KeySource& key) {
    try {
      StoreReader::open(store.files, store.path, key);
    } catch (const base::Error& error) {
      return error.code();
    }
    return base::ErrorCode::io;
  };
  CHECK(code_of({}) == base::ErrorCode::unauthorized);
  CHECK(code_of({"wrong", {}}) == base::ErrorCode::unauthorized);
  change_store_key(store.files, store.path, first, second, 14);
  CHECK(code_of(first) == base::ErrorCode::unauthorized);
  auto reader = StoreReader::open(store.files, store.path, second);
  REQUIRE(reader->points().size() == 1);
  base::Bytes bytes(3 * kChunk);
  reader->open_disk(reader->points()[0].id, "vda")->read(0, bytes);
  base::Bytes wanted = chunk_of_seed(2, kChunk);
  CHECK(std::equal(wanted.begin(), wanted.end(), bytes.begin() + kChunk));
}

}  // namespace images
