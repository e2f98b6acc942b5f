// A whole store on an object store: the one in memory, with pages of three names.
#include <catch2/catch.hpp>

#include "base/error.h"
#include "base/scratch_directory.h"
#include "images/store/place/layout.h"
#include "images/store/place/objects/memory_object_store.h"
#include "images/store/place/objects/object_place.h"
#include "images/store/store_reader.h"
#include "images/store/store_writer.h"
#include "tests/images/store/store_model.h"

namespace images {
namespace {

constexpr uint32_t kChunk = 4096;

struct ObjectsUnderTest {
  base::ScratchDirectory scratch{"/tmp", "muletto-object-place-test"};
  MemoryObjectStore objects;
  KeySource key;
  std::mt19937 random{7};
  ModelStore model;

  explicit ObjectsUnderTest(KeySource source = {}) : key(std::move(source)) {
    init_store(*place(), {.chunk_size = kChunk, .key = key, .scrypt_log2_n = 14});
  }
  // Another one with each call, as in another process.
  std::shared_ptr<ObjectPlace> place() { return std::make_shared<ObjectPlace>(objects); }
  std::string index(const std::string& name) { return scratch.path() + "/" + name; }
  std::unique_ptr<StoreWriter> open(std::shared_ptr<StorePlace> at, const std::string& name = "a") {
    return StoreWriter::open(std::move(at), key, index(name), {.pack_size = 1u << 18});
  }
  CheckReport check() { return check_store(place(), key, {.deep = true}, index("a")); }
  size_t packs() {
    size_t count = 0;
    auto at = place();
    for (const std::string& shard : at->blobs().list("packs"))
      count += at->blobs().list("packs/" + shard).size();
    return count;
  }

  PointId sync(StoreWriter& writer, const std::string& machine,
               const std::optional<PointId>& base = {}) {
    ModelPoint point;
    point.machine = machine;
    point.disks["vda"] = ModelContent(300);
    if (base) point = model.at(*base);
    for (auto& [name, content] : point.disks) change_at_random(content, base ? 20 : 150, random);
    PointId id = sync_model_point(writer, point, base, base ? &model.at(*base) : nullptr);
    model[id] = point;
    return id;
  }
};

base::ErrorCode code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const base::Error& error) {
    return error.code();
  }
  FAIL("nothing was thrown");
  return base::ErrorCode::io;
}

}  // namespace

TEST_CASE("a store lives on an object store", "[store]") {
  ObjectsUnderTest store(GENERATE(0, 1) == 0 ? KeySource{} : KeySource{"correct horse", {}});
  std::vector<PointId> ids;
  {
    auto writer = store.open(store.place());
    ids.push_back(store.sync(*writer, "web"));
    for (int i = 0; i < 6; ++i) ids.push_back(store.sync(*writer, "web", ids.back()));
    store.sync(*writer, "mail");
    CHECK(differences(writer->reader(), store.model).empty());
    // Each flush made a sealed pack, which nothing changes any more.
    CHECK(store.packs() >= 8);
    CHECK(code_of([&] { store.open(store.place(), "b"); }) == base::ErrorCode::busy);
  }
  CHECK(store.check().good());

  auto reader = StoreReader::open(store.place(), store.key, {}, store.index("a"));
  auto disk = reader->open_disk(ids[2], "vda");
  {
    auto writer = store.open(store.place());
    CHECK(differences(*reader, store.model).empty());
    CHECK(code_of([&] { writer->delete_point(ids[2]); }) == base::ErrorCode::busy);
    disk.reset();
    for (size_t i = 0; i < 5; ++i) {
      writer->delete_point(ids[i]);
      store.model.erase(ids[i]);
    }
    size_t before = store.packs();
    CHECK(writer->compact({}).packs_rewritten > 0);
    writer->compact({});
    CHECK(store.packs() < before);
    CHECK(differences(writer->reader(), store.model).empty());
    CHECK(differences(*reader, store.model).empty());
    CHECK(writer->check({.deep = true}).good());
  }
  CHECK(store.check().good());
}

TEST_CASE("another machine makes its own index of an object store", "[store]") {
  ObjectsUnderTest store;
  PointId first;
  {
    auto writer = store.open(store.place());
    first = store.sync(*writer, "web");
    store.sync(*writer, "web", first);
  }
  {
    auto writer = store.open(store.place(), "b");
    CHECK(differences(writer->reader(), store.model).empty());
    store.sync(*writer, "mail");
    writer->delete_point(first);
    store.model.erase(first);
    writer->compact({});
  }
  // The index of the first one is old now, and is brought up to date.
  auto writer = store.open(store.place());
  CHECK(differences(writer->reader(), store.model).empty());
  writer.reset();
  CHECK(store.check().good());
  RebuildReport report = rebuild_index(store.place(), store.index("c"));
  CHECK(report.problems.empty());
  CHECK(report.points_found == store.model.size());
  auto reader = StoreReader::open(store.place(), {}, {}, store.index("c"));
  CHECK(differences(*reader, store.model).empty());
}

TEST_CASE("the key of a store on an object store changes", "[store]") {
  KeySource first{"first", {}}, second{"second", {}};
  ObjectsUnderTest store(first);
  store.sync(*store.open(store.place()), "web");
  change_store_key(*store.place(), first, second, 14);
  CHECK_THROWS_AS(StoreReader::open(store.place(), first, {}, store.index("a")), base::Error);
  auto reader = StoreReader::open(store.place(), second, {}, store.index("a"));
  CHECK(differences(*reader, store.model).empty());
}

TEST_CASE("a writer that slept past the end of its lease does not publish", "[store]") {
  ObjectsUnderTest store;
  auto sleeper = store.open(store.place());
  PointId base = store.sync(*sleeper, "web");
  const ModelStore before = store.model;

  SECTION("before it began to commit") {
    store.objects.advance(ObjectLeases::kTime_ms);
    CHECK_FALSE(sleeper->usable());
    auto writer = store.open(store.place(), "b");
    CHECK(code_of([&] { store.sync(*sleeper, "web", base); }) == base::ErrorCode::unavailable);
    CHECK(code_of([&] { sleeper->delete_point(base); }) == base::ErrorCode::unavailable);
    CHECK(differences(writer->reader(), before).empty());
    store.model = before;
  }

  SECTION("between its look at the lease and the arrival of the manifest") {
    std::unique_ptr<StoreWriter> writer;
    store.objects.before_each_put([&](const std::string& name) {
      if (!name.starts_with("points/")) return;
      store.objects.before_each_put(nullptr);
      store.objects.advance(ObjectLeases::kTime_ms);
      writer = store.open(store.place(), "b");
      store.objects.advance(1);
    });
    CHECK_THROWS_AS(store.sync(*sleeper, "web", base), base::Error);
    REQUIRE(writer != nullptr);
    CHECK(writer->reader().points().size() == 1);
    sleeper.reset();
    writer->compact({});
    writer->compact({});
    writer.reset();
    // The point that came late is gone with the next opening.
    writer = store.open(store.place(), "b");
    CHECK(differences(writer->reader(), before).empty());
    CHECK(store.place()->blobs().list("points").size() == 1);
    auto at = store.place();
    CHECK(at->blobs().list("points/" + at->blobs().list("points").front()).size() == 1);
    store.model = before;
  }

  sleeper.reset();
  auto writer = store.open(store.place(), "c");
  CHECK(differences(writer->reader(), before).empty());
  store.sync(*writer, "web", base);
  CHECK(differences(writer->reader(), store.model).empty());
  CHECK(writer->check({.deep = true}).good());
}

TEST_CASE("a sync that was cut on an object store leaves the store intact", "[store]") {
  ObjectsUnderTest store;
  // Fails at each put of a commit in turn.
  for (uint64_t at = 1;; ++at) {
    auto writer = store.open(store.place());
    uint64_t number = 0;
    store.objects.before_each_put([&](const std::string&) {
      if (++number == at) throw base::Error(base::ErrorCode::unavailable, "the network is down");
    });
    const ModelStore before = store.model;
    bool failed = false;
    try {
      store.sync(*writer, "web");
    } catch (const base::Error&) {
      failed = true;
    }
    store.objects.before_each_put(nullptr);
    if (failed) CHECK(store.model.size() == before.size());
    CHECK(differences(writer->reader(), store.model).empty());
    writer.reset();
    CHECK(store.check().good());
    if (number < at) break;
    REQUIRE(at < 100);
  }
}

}  // namespace images
