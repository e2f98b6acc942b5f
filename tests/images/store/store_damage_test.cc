// Bytes that change where they lie: check finds every one, names the points it touches, and all
// others stay readable; a later sync heals; a rebuild brings out the same.
#include <catch2/catch.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/log.h"
#include "base/scratch_directory.h"
#include "base/unique_fd.h"
#include "images/store/pack_scanner.h"
#include "images/store/place/layout.h"
#include "images/store/place/local_place.h"
#include "images/store/store_context.h"
#include "tests/images/store/index_contents.h"
#include "tests/images/store/store_model.h"

namespace images {
namespace {

constexpr uint32_t kChunk = 4096;

struct DamagedStore {
  base::ScratchDirectory scratch{std::filesystem::exists("/dev/shm") ? "/dev/shm" : "/tmp",
                                 "muletto-damage-test"};
  std::string path = scratch.path() + "/store";
  base::FileSystem& files = base::real_file_system();
  KeySource key;
  spdlog::level::level_enum log_level = base::log().level();

  explicit DamagedStore(KeySource source = {}) : key(std::move(source)) {
    base::log().set_level(spdlog::level::off);  // of damage that is the test's own
    init_store(files, path, {.chunk_size = kChunk, .key = key, .scrypt_log2_n = 14});
  }
  ~DamagedStore() { base::log().set_level(log_level); }

  std::unique_ptr<StoreWriter> open() { return StoreWriter::open(files, path, key); }
  StoreId id() { return read_parameters(files, path).id; }
  IndexContents contents() { return index_contents(layout::index_directory(path), id()); }

  PointId add(const std::string& machine, uint64_t time_ms, const ModelContent& content) {
    return sync_model_point(*open(), {machine, time_ms, {{"vda", content}}}, {}, nullptr);
  }
  std::string manifest(const PointId& point) {
    auto reader = StoreReader::open(files, path, key);
    return layout::manifest_file(path, reader->read_point(point).machine, point);
  }
  std::vector<std::string> packs() {
    std::vector<std::string> paths;
    for (const PackId& pack : collect_packs(local_place(files, path)->blobs()))
      paths.push_back(layout::pack_file(path, pack));
    return paths;
  }
  CheckReport check(bool deep = false) { return check_store(files, path, key, {.deep = deep}); }
};

// Flips bits of one byte where it lies.
void flip(const std::string& path, uint64_t offset, uint8_t bits) {
  base::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  REQUIRE(fd);
  uint8_t byte = 0;
  REQUIRE(::pread(fd.get(), &byte, 1, static_cast<off_t>(offset)) == 1);
  byte ^= bits;
  REQUIRE(::pwrite(fd.get(), &byte, 1, static_cast<off_t>(offset)) == 1);
}

// Where in its pack a record's bytes lie.
struct Place {
  std::string path;
  uint64_t offset = 0;
};
Place place_of(DamagedStore& store, const ChunkId& id) {
  auto index = ChunkIndex::open(layout::index_directory(store.path), store.id(), false);
  auto transaction = index->read();
  auto entry = transaction->find_chunk(id);
  REQUIRE(entry);
  return {layout::pack_file(store.path, transaction->find_pack(entry->pack)->id),
          entry->offset + format::kRecordHeaderSize};
}

ChunkId id_of_seed(uint32_t seed) {
  return ChunkHasher(kChunk, {}).id_of(chunk_of_seed(seed, kChunk));
}

std::vector<PointId> damaged_points(const CheckReport& report) {
  std::vector<PointId> ids;
  for (const auto& point : report.damaged) ids.push_back(point.id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

}  // namespace

TEST_CASE(
    "without the key, check finds one flipped bit in every byte of pack, manifest and key file") {
  DamagedStore store({"correct horse", {}});
  PointId point = store.add("machine", 1, {1, 0, 2});
  std::vector<std::string> paths = store.packs();
  paths.push_back(store.manifest(point));
  paths.push_back(layout::key_file(store.path));
  auto keyless = StoreWriter::open(store.files, store.path);
  REQUIRE(keyless->check({}).problems == std::vector<std::string>{});
  uint64_t tried = 0;
  for (const std::string& path : paths) {
    for (uint64_t offset = 0; offset < std::filesystem::file_size(path); ++offset) {
      auto bits = static_cast<uint8_t>(1u << (offset * 5 % 8));
      flip(path, offset, bits);
      CheckReport report = keyless->check({});
      if (report.problems.empty())
        FAIL_CHECK("byte " << offset << " of " << path << " is not watched");
      flip(path, offset, bits);
      ++tried;
    }
  }
  CHECK(tried > 4000);
  // The notes of damage go as the damage went.
  CHECK(keyless->check({}).problems == std::vector<std::string>{});
}

TEST_CASE("a flipped bit of the format file is told, whichever it is") {
  DamagedStore store;
  store.add("machine", 1, {1});
  std::string path = layout::parameters_file(store.path);
  for (uint64_t offset = 0; offset < std::filesystem::file_size(path); ++offset) {
    flip(path, offset, 4);
    CHECK_THROWS_AS(store.check(), base::Error);
    CHECK_THROWS_AS(StoreReader::open(store.files, store.path), base::Error);
    flip(path, offset, 4);
  }
  CHECK(store.check().good());
}

TEST_CASE(
    "damage names the points it touches; the next sync that has the chunk heals them, for good") {
  DamagedStore store;
  PointId touched = store.add("a", 1, {1, 2, 3}), also_touched = store.add("b", 1, {9, 2}),
          spared = store.add("c", 1, {1, 3, 4});
  Place place = place_of(store, id_of_seed(2));
  flip(place.path, place.offset + 10, 1);
  CheckReport report = store.check();
  std::vector<PointId> expected{touched, also_touched};
  std::sort(expected.begin(), expected.end());
  CHECK(damaged_points(report) == expected);
  {
    auto reader = StoreReader::open(store.files, store.path);
    CHECK(differences(*reader, {{spared, {"c", 1, {{"vda", {1, 3, 4}}}}}}).size() ==
          1);  // "3 points, not 1"
    base::Bytes bytes(kChunk);
    CHECK_THROWS_AS(reader->open_disk(touched, "vda")->read(kChunk, bytes), base::Error);
    reader->open_disk(touched, "vda")->read(0, bytes);  // its other chunks are readable
  }

  PointId healer = store.add("d", 1, {2});
  ModelStore model{{touched, {"a", 1, {{"vda", {1, 2, 3}}}}},
                   {also_touched, {"b", 1, {{"vda", {9, 2}}}}},
                   {spared, {"c", 1, {{"vda", {1, 3, 4}}}}},
                   {healer, {"d", 1, {{"vda", {2}}}}}};
  auto expect_healed = [&] {
    CHECK(damaged_points(store.check(true)).empty());
    CHECK(differences(*StoreReader::open(store.files, store.path), model) ==
          std::vector<std::string>{});
  };
  expect_healed();
  // Both copies lie in the store: whichever pack a rebuild meets first, it takes the good one.
  for (int i = 0; i < 3; ++i) {
    rebuild_index(store.files, store.path);
    expect_healed();
  }
}

TEST_CASE("a pack that is gone damages its points only, and a full sync brings them back") {
  DamagedStore store;
  PointId lost = store.add("a", 1, {1, 2, 3}), kept = store.add("b", 1, {4, 5});
  std::filesystem::remove(place_of(store, id_of_seed(1)).path);
  CHECK(damaged_points(store.check()) == std::vector<PointId>{lost});
  base::Bytes bytes(2 * kChunk);
  StoreReader::open(store.files, store.path)->open_disk(kept, "vda")->read(0, bytes);
  PointId again = store.add("a", 2, {1, 2, 3});
  CHECK(damaged_points(store.check(true)).empty());
  CHECK(differences(*StoreReader::open(store.files, store.path),
                    {{lost, {"a", 1, {{"vda", {1, 2, 3}}}}},
                     {kept, {"b", 1, {{"vda", {4, 5}}}}},
                     {again, {"a", 2, {{"vda", {1, 2, 3}}}}}}) == std::vector<std::string>{});
}

TEST_CASE("a manifest that cannot be read is named, keeps its chunks, and can be deleted") {
  DamagedStore store;
  PointId point = store.add("a", 1, {1, 2, 3}), other = store.add("a", 2, {1, 5});
  std::string manifest = store.manifest(point);
  flip(manifest, 20, 1);
  CHECK(damaged_points(store.check()) == std::vector<PointId>{point});
  rebuild_index(store.files, store.path);
  CHECK(damaged_points(store.check()) == std::vector<PointId>{point});
  CHECK_THROWS_AS(store.open()->compact(), base::Error);  // nothing is freed while it is uncertain
  flip(manifest, 20, 1);                                  // a copy of it was found
  rebuild_index(store.files, store.path);
  CHECK(differences(*StoreReader::open(store.files, store.path),
                    {{point, {"a", 1, {{"vda", {1, 2, 3}}}}},
                     {other, {"a", 2, {{"vda", {1, 5}}}}}}) == std::vector<std::string>{});
  flip(manifest, 20, 1);
  rebuild_index(store.files, store.path);
  store.open()->delete_point(point);
  rebuild_index(store.files, store.path);
  CHECK(store.check(true).good());
  store.open()->compact({.rewrite_below = 1.0, .stop = {}});
  CHECK(store.open()->figures().point_count == 1);
}

TEST_CASE("whatever happens to the index file, the store finds out and mends it") {
  DamagedStore store;
  ModelStore model;
  std::mt19937 random(5);
  {
    auto writer = store.open();
    for (uint64_t i = 0; i < 12; ++i) {
      ModelPoint point{"machine", i + 1, {{"vda", ModelContent(300)}}};
      change_at_random(point.disks["vda"], 200, random);
      model[sync_model_point(*writer, point, {}, nullptr)] = point;
      if (i % 3 == 0) {
        writer->delete_point(model.begin()->first);
        model.erase(model.begin());
      }
    }
  }
  IndexContents counted = store.contents();
  std::string path = layout::index_directory(store.path) + "/data.mdb";
  base::Bytes whole = base::read_file(store.files, path, 64 << 20);
  const int rounds = std::getenv("MULETTO_FAULT_SWEEP") != nullptr ? 400 : 40;
  for (int i = 0; i < rounds; ++i) {
    base::Bytes bytes = whole;
    size_t page = random() % (bytes.size() / 4096) * 4096;
    switch (i % 4) {
      case 0: bytes.resize(random() % bytes.size()); break;
      case 1: std::fill_n(bytes.begin() + static_cast<ptrdiff_t>(page), 4096, uint8_t{0}); break;
      case 2:
        for (size_t j = page; j < page + 4096; ++j) bytes[j] = static_cast<uint8_t>(random());
        break;
      default: bytes[random() % bytes.size()] ^= static_cast<uint8_t>(1u << random() % 8);
    }
    INFO("kind " << i % 4 << ", page " << page / 4096 << ", round " << i);
    base::write_file_durably(store.files, path, bytes);
    auto writer = store.open();
    REQUIRE(differences(writer->reader(), model) == std::vector<std::string>{});
    ModelPoint more{"other", 1, {{"vda", ModelContent(40, 7)}}};
    writer->delete_point(sync_model_point(*writer, more, {}, nullptr));
    REQUIRE(writer->check({}).good());
    writer.reset();
    REQUIRE(store.contents() == counted);
    // The pack of the sync above lies in the store, and not in the old index.
    whole = base::read_file(store.files, path, 64 << 20);
  }
}

TEST_CASE("a reader outlives a rebuild of the index and the compaction after it") {
  DamagedStore store;
  ModelContent content(200);
  std::mt19937 random(3);
  change_at_random(content, 150, random);
  PointId kept = store.add("a", 1, content);
  PointId gone = store.add("b", 1, ModelContent(100, 77));
  auto reader = StoreReader::open(store.files, store.path, {}, {.chunk_cache_size = 0});
  auto disk = reader->open_disk(kept, "vda");
  rebuild_index(store.files, store.path);
  auto writer = store.open();
  writer->delete_point(gone);
  writer->compact({.rewrite_below = 1.1, .stop = {}});
  base::Bytes bytes(disk->size());
  disk->read(0, bytes);
  for (size_t i = 0; i < content.size(); ++i) {
    base::Bytes wanted = chunk_of_seed(content[i], kChunk);
    REQUIRE(std::equal(wanted.begin(), wanted.end(),
                       bytes.begin() + static_cast<ptrdiff_t>(i * kChunk)));
  }
}

}  // namespace images
