// A store that a program of format version 1 wrote, kept as text, is read as it is, and becomes one
// of this version when it is opened for writing: with nothing lost, whatever fails meanwhile.
#include <catch2/catch.hpp>
#include <filesystem>

#include "base/error.h"
#include "base/faulty_file_system.h"
#include "base/log.h"
#include "base/memory_file_system.h"
#include "base/scratch_directory.h"
#include "images/format/store_format.h"
#include "images/sources/raw_disk_source.h"
#include "images/store/place/layout.h"
#include "images/store/store_reader.h"
#include "images/store/store_writer.h"
#include "images/sync/sync_engine.h"
#include "tests/images/store/old_store.h"

namespace images {
namespace {

constexpr uint32_t kChunk = 4096;
constexpr size_t kChunkCount = 16;
const std::string kMachine = "accounting";

// What the kept stores' two points hold.
base::Bytes content_of(int point) {
  base::Bytes bytes(kChunkCount * kChunk);
  auto fill = [&](size_t chunk, const std::string& text) {
    for (size_t i = 0; i < kChunk; ++i)
      bytes[chunk * kChunk + i] = static_cast<uint8_t>(text[i % text.size()]);
  };
  fill(0, "chunk 00 of the first point. ");
  fill(1, "chunk 01 of the first point. ");
  fill(5, point == 0 ? "chunk 05 of the first point. " : "chunk 05 of the second point. ");
  if (point == 0) fill(15, "chunk 15 of the first point. ");
  return bytes;
}

struct KeptStore {
  std::string name;
  KeySource key;
};

KeptStore kept(bool encrypted) {
  if (!encrypted) return {"version-1.store", {}};
  return {"version-1-encrypted.store", {"", base::Bytes(32, 'k')}};
}

uint32_t version_of(base::FileSystem& files, const std::string& directory) {
  auto bytes = base::read_file(files, layout::parameters_file(directory), 4096);
  return format::decode_parameters(bytes).version;
}

base::Bytes read_disk(StoreReader& reader, const PointId& id) {
  auto disk = reader.open_disk(id, "vda");
  base::Bytes bytes(disk->size());
  disk->read(0, bytes);
  return bytes;
}

void expect_both_points(StoreReader& reader) {
  auto points = reader.points_of(kMachine);
  REQUIRE(points.size() >= 2);
  for (int i = 0; i < 2; ++i) {
    const PointSummary& summary = points[static_cast<size_t>(i)];
    CHECK(read_disk(reader, summary.id) == content_of(i));
    Point point = reader.read_point(summary.id);
    CHECK(point.note == (i == 0 ? "point a" : "point b"));
    CHECK(point.definition.cpu_count == 2);
    CHECK(point.lineage == PointLineage{});
  }
}

PointId sync_on(StoreWriter& writer, const PointId& base) {
  SyncPlan plan{kMachine, {{"vda", kChunkCount * kChunk, base}}};
  auto sink = writer.begin(plan);
  Batch batch{0, 0, {{3, 2, {}}, {5, 1, {}}}};
  sink->send(batch, [](size_t) { return EncodedChunk{}; });
  return sink->commit({});
}

}  // namespace

TEST_CASE("a store of version 1 is read, and changed by nothing but a writer") {
  KeptStore old = kept(GENERATE(false, true));
  base::ScratchDirectory scratch("/tmp", "muletto-version-test");
  base::FileSystem& files = base::real_file_system();
  std::string store = scratch.path() + "/store";
  unpack_old_store(files, old.name, store);
  RebuildReport report = rebuild_index(files, store);
  CHECK(report.points_found == 2);
  CHECK(report.problems.empty());
  expect_both_points(*StoreReader::open(files, store, old.key));
  CHECK(check_store(files, store, old.key, {.deep = true}).good());
  CHECK(version_of(files, store) == 1);
}

TEST_CASE("a store of version 1 becomes one of this version by opening, and lives on") {
  KeptStore old = kept(GENERATE(false, true));
  base::ScratchDirectory scratch("/tmp", "muletto-version-test");
  base::MemoryFileSystem files;
  unpack_old_store(files, old.name, "/store");
  auto open = [&] {
    return StoreWriter::open(files, "/store", old.key, scratch.path() + "/index");
  };
  auto writer = open();
  CHECK(version_of(files, "/store") == format::kStoreVersion);
  expect_both_points(writer->reader());
  PointId last = writer->reader().points_of(kMachine).back().id;
  PointId added = sync_on(*writer, last);
  CHECK(writer->reader().read_point(added).lineage.parent == last);
  base::Bytes expected = content_of(1);
  std::fill_n(expected.begin() + 5 * kChunk, kChunk, uint8_t{0});
  CHECK(read_disk(writer->reader(), added) == expected);
  // From the manifests alone: the old ones and the new one.
  writer.reset();
  rebuild_index(files, "/store", scratch.path() + "/index");
  writer = open();
  expect_both_points(writer->reader());
  CHECK(writer->reader().find_point(kMachine + "@latest") == added);
  CHECK(writer->reader().points_of(kMachine).back().lineage.parent == last);
  writer->delete_point(writer->reader().points_of(kMachine).front().id);
  writer->compact({.rewrite_below = 1.0});
  CHECK(writer->check({.deep = true}).good());
  CHECK(read_disk(writer->reader(), last) == content_of(1));
}

// No program writes manifests of version 1 any more; docs/format.md says how they are read.
TEST_CASE("a store of version 1 with manifests of version 1") {
  base::ScratchDirectory scratch("/tmp", "muletto-version-test");
  base::MemoryFileSystem files;
  unpack_old_store(files, "version-1.store", "/store");
  constexpr uint64_t kFirst = 1'700'000'000'000;
  std::string folder = layout::points_directory("/store");
  folder = base::join_path(folder, files.list(folder).front());
  std::map<PointId, uint64_t> times;
  for (const std::string& name : files.list(folder)) {
    std::string path = base::join_path(folder, name);
    base::Bytes manifest = base::read_file(files, path, format::kMaxManifestSize);
    // As far apart as they were taken: the order stays.
    Point point = format::decode_manifest(manifest, {});
    times[point.id] = point.note == "point a" ? kFirst : kFirst + 60'000;
    files.remove(path);
    base::write_file_durably(files, path, manifest_of_version_1(manifest, times[point.id]));
  }
  auto writer = StoreWriter::open(files, "/store", {}, scratch.path() + "/index");
  expect_both_points(writer->reader());
  for (const PointSummary& point : writer->reader().points_of(kMachine)) {
    CHECK(point.time_ms == times[point.id]);
    CHECK(point.dates.dated_by_host);
  }
}

TEST_CASE("whatever fails while a store of version 1 is opened, nothing of it is lost") {
  base::MemoryFileSystem kept_files;
  unpack_old_store(kept_files, "version-1.store", "/store");
  std::error_code absent;
  auto memory_space = std::filesystem::space("/dev/shm", absent);
  bool has_room = !absent && memory_space.available >= (1ull << 28);
  base::ScratchDirectory scratch(has_room ? "/dev/shm" : "/tmp", "muletto-version-test");
  auto level = base::log().level();
  base::log().set_level(spdlog::level::off);  // the faults are the test's own
  int index_number = 0;
  auto fresh_index = [&] { return scratch.path() + "/index" + std::to_string(index_number++); };
  uint64_t count = 0, fired = 0, upgraded = 0;
  {
    auto memory = kept_files.clone();
    base::FaultyFileSystem faulty(*memory);
    StoreWriter::open(faulty, "/store", {}, fresh_index()).reset();
    count = faulty.count();
  }
  for (uint64_t at = 1; at <= count; ++at) {
    for (base::Fault fault : {base::Fault::io_error, base::Fault::power_cut}) {
      CAPTURE(at, static_cast<int>(fault));
      auto memory = kept_files.clone();
      base::FaultyFileSystem faulty(*memory);
      faulty.fail_at(at, fault);
      try {
        auto writer = StoreWriter::open(faulty, "/store", {}, fresh_index());
        if (fault != base::Fault::power_cut) expect_both_points(writer->reader());
      } catch (const base::Error&) {
      }
      fired += faulty.fired() ? 1 : 0;
      if (fault == base::Fault::power_cut) memory->power_cut(at);
      faulty.reset();
      uint32_t version = version_of(*memory, "/store");
      CHECK((version == 1 || version == format::kStoreVersion));
      upgraded += version == format::kStoreVersion ? 1 : 0;
      auto writer = StoreWriter::open(*memory, "/store", {}, fresh_index());
      CHECK(version_of(*memory, "/store") == format::kStoreVersion);
      expect_both_points(writer->reader());
      CHECK(writer->check({}).good());
    }
  }
  CHECK(fired == 2 * count);
  CHECK(upgraded > 0);
  base::log().set_level(level);
}

// The disk is full: points can be deleted all the same, and no new one comes before the store is of
// this version.
TEST_CASE("a store of version 1 on a full disk is opened, and stays what it is until it has room") {
  base::ScratchDirectory scratch("/tmp", "muletto-version-test");
  base::MemoryFileSystem memory;
  unpack_old_store(memory, "version-1.store", "/store");
  base::FaultyFileSystem faulty(memory);
  uint64_t rename_at = 0;
  {
    auto copy = memory.clone();
    base::FaultyFileSystem counting(*copy);
    counting.before_each([&](uint64_t number) {
      if (rename_at == 0 && copy->exists("/store/store.tmp")) rename_at = number;
    });
    StoreWriter::open(counting, "/store", {}, scratch.path() + "/counted").reset();
  }
  REQUIRE(rename_at != 0);
  faulty.fail_at(rename_at, base::Fault::no_space);
  auto writer = StoreWriter::open(faulty, "/store", {}, scratch.path() + "/index");
  CHECK(faulty.fired());
  CHECK(version_of(memory, "/store") == 1);
  writer->delete_point(writer->reader().points_of(kMachine).front().id);
  faulty.reset();
  sync_on(*writer, writer->reader().points_of(kMachine).back().id);
  CHECK(version_of(memory, "/store") == format::kStoreVersion);
}

TEST_CASE("a store of a later version is refused with a sentence") {
  base::MemoryFileSystem files;
  unpack_old_store(files, "version-1.store", "/store");
  std::string path = layout::parameters_file("/store");
  base::Bytes bytes = base::read_file(files, path, 4096);
  base::store_u32(bytes.data() + 8, format::kStoreVersion + 1);
  base::store_u64(bytes.data() + 40, base::checksum64(base::ByteView(bytes).first(40)));
  files.remove(path);
  base::write_file_durably(files, path, bytes);
  CHECK_THROWS_WITH(StoreWriter::open(files, "/store", {}, "/nowhere"),
                    Catch::Matchers::Contains("this program knows versions 1 to 2"));
}

}  // namespace images
