// What every StorePlace promises, run on a directory of the machine, on one of a file system in
// memory, and on an object store in memory.
#include <catch2/catch.hpp>

#include <functional>

#include "base/error.h"
#include "base/memory_file_system.h"
#include "base/scratch_directory.h"
#include "images/store/place/layout.h"
#include "images/store/place/local_place.h"
#include "images/store/place/objects/memory_object_store.h"
#include "images/store/place/objects/object_place.h"

namespace images {
namespace {

using base::as_bytes;
using base::as_text;
using base::ErrorCode;

struct Candidate {
  base::ScratchDirectory scratch{"/tmp", "muletto-store-place-test"};
  base::MemoryFileSystem memory;
  MemoryObjectStore objects;
  std::string name;

  // Another one, as another process would open it.
  std::unique_ptr<StorePlace> open() {
    if (name == "objects") return std::make_unique<ObjectPlace>(objects);
    if (name == "memory") return local_place(memory, "/store");
    return local_place(base::real_file_system(), scratch.path() + "/store");
  }
};

ErrorCode code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const base::Error& error) {
    return error.code();
  }
  FAIL("nothing was thrown");
  return ErrorCode::io;
}

std::vector<NewBlob> first_blobs() {
  auto bytes = [](std::string_view text) {
    return base::Bytes(as_bytes(text).begin(), as_bytes(text).end());
  };
  return {{"key", bytes("a key")}, {"store", bytes("parameters")}};
}

std::string text_of(StorePlace& place, const std::string& name) {
  return std::string(as_text(place.blobs().get(name, 1 << 20)));
}

}  // namespace

TEST_CASE("every place of a store keeps the contract", "[store]") {
  Candidate candidate;
  candidate.name = GENERATE(std::string("real"), std::string("memory"), std::string("objects"));
  INFO(candidate.name);
  std::shared_ptr<StorePlace> place = candidate.open();
  place->create(first_blobs());
  BlobStore& blobs = place->blobs();
  const std::string point = layout::manifest_file("", MachineId::random(), PointId::random());
  const std::string folder = base::parent_path(point);

  SECTION("a new store has its first blobs, and is not created twice") {
    CHECK(text_of(*place, "key") == "a key");
    CHECK(text_of(*place, "store") == "parameters");
    CHECK(code_of([&] { candidate.open()->create(first_blobs()); }) == ErrorCode::already_exists);
    CHECK_FALSE(place->location().empty());
    CHECK(blobs.list("packs").empty());
    CHECK(blobs.list("points").empty());
  }

  SECTION("a blob is put as a whole, read in parts, replaced and removed") {
    CHECK_FALSE(blobs.exists(point));
    CHECK(code_of([&] { blobs.get(point, 100); }) == ErrorCode::not_found);
    CHECK(code_of([&] { blobs.open(point); }) == ErrorCode::not_found);
    blobs.put(point, as_bytes("hello world"));
    CHECK(blobs.exists(point));
    CHECK(blobs.exists(folder));
    CHECK(text_of(*candidate.open(), point) == "hello world");
    CHECK(code_of([&] { blobs.get(point, 10); }) == ErrorCode::corrupt);
    auto reader = blobs.open(point);
    CHECK(reader->size() == 11);
    base::Bytes part(5);
    reader->read_at(6, part);
    CHECK(as_text(part) == "world");
    CHECK(code_of([&] { reader->read_at(7, part); }) == ErrorCode::corrupt);
    blobs.put(point, as_bytes("again"));
    CHECK(text_of(*place, point) == "again");
    CHECK(blobs.replace(point, as_bytes("again"), as_bytes("third")));
    CHECK(text_of(*place, point) == "third");
    blobs.remove(point);
    blobs.sync_names(folder);
    CHECK_FALSE(blobs.exists(point));
    CHECK(blobs.list(folder).empty());
    CHECK_NOTHROW(blobs.remove(point));
  }

  SECTION("lists are complete, sorted, and one level deep") {
    std::vector<std::string> machines, points;
    for (int i = 0; i < 10; ++i) {
      MachineId machine = MachineId::random();
      machines.push_back(machine.hex());
      blobs.put(layout::manifest_file("", machine, PointId::random()), as_bytes("x"));
    }
    for (int i = 0; i < 10; ++i) {
      PointId id = PointId::random();
      points.push_back(id.hex() + ".point");
      blobs.put(folder + "/" + points.back(), as_bytes("x"));
    }
    machines.push_back(folder.substr(std::string("points/").size()));
    std::sort(machines.begin(), machines.end());
    std::sort(points.begin(), points.end());
    CHECK(blobs.list("points") == machines);
    CHECK(blobs.list(folder) == points);
    CHECK(blobs.list_tidied(folder) == points);
  }

  SECTION("a pack is readable once it was flushed") {
    PackId pack = PackId::random();
    const std::string name = layout::pack_file("", pack);
    auto when = GENERATE(NameDurable::at_creation, NameDurable::at_flush);
    auto writer = place->packs().create(pack, when);
    CHECK(writer->size() == 0);
    writer->append(as_bytes("some "));
    writer->append(as_bytes("records"));
    CHECK(writer->size() == 12);
    writer->flush();
    CHECK(text_of(*place, name) == "some records");
    if (place->packs().grow()) {
      writer->append(as_bytes(" more"));
      writer->flush();
      CHECK(text_of(*place, name) == "some records more");
      writer.reset();
      place->packs().truncate(pack, 12);
    }
    writer.reset();
    CHECK(text_of(*place, name) == "some records");
    place->packs().take_over(pack, 12)->flush();
    CHECK(text_of(*place, name) == "some records");
    writer = place->packs().take_over(pack, 5);
    CHECK(writer->size() == 5);
    writer->append(as_bytes("tail"));
    writer->flush();
    CHECK(writer->size() == 9);
    CHECK(text_of(*place, name) == "some tail");
    CHECK(blobs.list("packs") == std::vector<std::string>{pack.hex().substr(0, 2)});
  }

  SECTION("leases exclude each other") {
    blobs.put(point, as_bytes("x"));
    std::shared_ptr<StorePlace> other = candidate.open();
    auto writer = place->leases().writer();
    CHECK(writer->is_held());
    CHECK_NOTHROW(writer->require_held());
    CHECK(code_of([&] { other->leases().writer(); }) == ErrorCode::busy);
    writer.reset();
    writer = other->leases().writer();
    CHECK(writer->is_held());
    auto first = place->leases().shared(point), second = other->leases().shared(point);
    CHECK(code_of([&] { other->leases().exclusive(point); }) == ErrorCode::busy);
    first.reset();
    CHECK(code_of([&] { place->leases().exclusive(point); }) == ErrorCode::busy);
    second.reset();
    auto alone = other->leases().exclusive(point);
    CHECK(code_of([&] { place->leases().shared(point); }) == ErrorCode::busy);
    CHECK(code_of([&] { place->leases().exclusive(point); }) == ErrorCode::busy);
    alone.reset();
    CHECK_NOTHROW(place->leases().shared(point));
  }
}

TEST_CASE("an interrupted creation is repeated, and nothing else is overwritten", "[store]") {
  Candidate candidate;
  candidate.name = GENERATE(std::string("real"), std::string("memory"), std::string("objects"));
  auto place = candidate.open();
  if (candidate.name == "objects") {
    candidate.objects.put("key", as_bytes("old"), {});
    place->create(first_blobs());
    CHECK(text_of(*place, "key") == "a key");
    MemoryObjectStore used;
    used.put("letters/mine", as_bytes("x"), {});
    CHECK(code_of([&] { ObjectPlace(used).create(first_blobs()); }) == ErrorCode::already_exists);
    return;
  }
  auto& files = candidate.name == "real" ? base::real_file_system()
                                         : static_cast<base::FileSystem&>(candidate.memory);
  files.make_directory(place->location());
  base::write_file_durably(files, place->location() + "/key", as_bytes("old"));
  place->create(first_blobs());
  CHECK(text_of(*place, "key") == "a key");
}

}  // namespace images
