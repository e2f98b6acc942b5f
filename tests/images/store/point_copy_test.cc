// A point of one store as the same point in another, copied by the sync engine: a point's disk is a
// DiskSource.
#include "images/point_copy.h"

#include <catch2/catch.hpp>
#include <random>

#include "base/error.h"
#include "base/memory_file_system.h"
#include "base/scratch_directory.h"
#include "images/format/store_format.h"
#include "images/store/place/layout.h"
#include "images/store/store_reader.h"
#include "images/store/store_writer.h"
#include "images/sync/sync_engine.h"
#include "tests/images/store/store_model.h"

namespace images {
namespace {

constexpr uint32_t kChunk = 4096;

struct Place {
  base::ScratchDirectory scratch{"/tmp", "muletto-copy-test"};
  base::MemoryFileSystem files;
  base::ManualClock clock;
  std::unique_ptr<StoreWriter> writer;

  explicit Place(uint64_t now_ms, const KeySource& key = {}) : clock(now_ms) {
    files.make_directory("/store");
    init_store(files, "/store", {.chunk_size = kChunk, .key = key, .scrypt_log2_n = 14});
    WriterLimits limits;
    limits.clock = &clock;
    limits.reference_slice = 7;
    writer = StoreWriter::open(files, "/store", key, scratch.path() + "/index", limits);
  }
  StoreReader& reader() { return writer->reader(); }
  std::vector<PointId> ids() {
    std::vector<PointId> ids;
    for (const PointSummary& point : reader().points_of("web")) ids.push_back(point.id);
    return ids;
  }
};

PointMarks sample_marks() {
  return {
      BootMark{"pass", "tcp:22 answered", 1'000'000'100'000, 21'000, "0123456789abcdef", "cellar"},
      HoldMark{"the audit of 2026", 1'000'000'200'000, 2'000'000'000'000}};
}

PointId copy(StoreReader& from, const PointId& id, StoreWriter& to,
             const std::optional<PointId>& base = {}) {
  Point point = from.read_point(id);
  SyncPlan plan = plan_of_copy(point, base ? std::optional(from.read_point(*base)) : std::nullopt);
  std::vector<std::unique_ptr<DiskReader>> disks;
  std::vector<DiskSource*> sources;
  for (const PointDisk& disk : point.disks) {
    disks.push_back(from.open_disk(id, disk.name));
    sources.push_back(disks.back().get());
  }
  auto sink = to.begin(plan);
  copy_disks(plan, sources, *sink, {});
  return sink->commit(details_of_copy(point, from.id(), from.marks(id)));
}

void expect_same(const Point& a, const Point& b, bool same_keys) {
  CHECK(a.id == b.id);
  CHECK(a.time_ms == b.time_ms);
  CHECK(a.dates == b.dates);
  CHECK(a.note == b.note);
  CHECK(a.host == b.host);
  CHECK(a.lineage.parent == b.lineage.parent);
  CHECK(a.figures.bytes_read == b.figures.bytes_read);
  CHECK(a.figures.duration_ms == b.figures.duration_ms);
  REQUIRE(a.disks.size() == b.disks.size());
  for (size_t i = 0; i < a.disks.size(); ++i) {
    CHECK(a.disks[i].name == b.disks[i].name);
    CHECK(a.disks[i].size == b.disks[i].size);
    if (same_keys) CHECK(a.disks[i].root == b.disks[i].root);
  }
}

// Three points of a machine with two disks.
ModelStore fill(Place& place, std::mt19937& random) {
  ModelStore model;
  ModelPoint point{"web", 1'000, {{"vda", ModelContent(300)}, {"vdb", ModelContent(70)}}};
  std::optional<PointId> base;
  for (int i = 0; i < 3; ++i) {
    ModelPoint before = point;
    for (auto& [name, content] : point.disks) change_at_random(content, 40, random);
    point.time_ms += 60'000;
    place.clock.set_wall(place.clock.wall_ms() + 60'000);
    base = sync_model_point(*place.writer, point, base, &before);
    model[*base] = point;
  }
  return model;
}

}  // namespace

TEST_CASE("a copy of a point in another store is the same point") {
  std::mt19937 random(7);
  Place here(1'000'000'000'000), there(1'700'000'000'000);
  ModelStore model = fill(here, random);
  std::vector<PointId> ids = here.ids();
  std::optional<PointId> base;
  for (const PointId& id : ids) {
    CHECK(copy(here.reader(), id, *there.writer, base) == id);
    base = id;
  }
  CHECK(there.ids() == ids);
  CHECK(differences(there.reader(), model).empty());
  for (const PointId& id : ids) {
    Point copied = there.reader().read_point(id);
    expect_same(copied, here.reader().read_point(id), true);
    CHECK(copied.lineage.origin == PointOrigin{here.reader().id(), id});
  }
  CHECK(there.reader().points_of("web")[1].lineage.parent == ids[0]);
  CHECK(there.writer->check({.deep = true}).good());
  // Its time is its own; what is made here comes after it all the same.
  ModelPoint next = model[ids.back()];
  PointId local = sync_model_point(*there.writer, next, ids.back(), &model[ids.back()]);
  CHECK(there.reader().find_point("web@latest") == local);
  CHECK(there.reader().read_point(local).lineage == PointLineage{ids.back(), std::nullopt});
}

TEST_CASE("copies come in any order and take their places") {
  std::mt19937 random(8);
  Place here(1'000'000'000'000), there(1'700'000'000'000);
  ModelStore model = fill(here, random);
  std::vector<PointId> ids = here.ids();
  for (size_t i : {2u, 0u, 1u}) copy(here.reader(), ids[i], *there.writer);
  CHECK(there.ids() == ids);
  CHECK(differences(there.reader(), model).empty());
  there.writer->delete_point(ids[1]);
  there.writer->compact({.rewrite_below = 1.0});
  model.erase(ids[1]);
  CHECK(differences(there.reader(), model).empty());
  // The id of a point that was deleted, and whose references are not counted yet, comes again.
  for (int round = 0; round < 3; ++round) {
    there.writer->delete_point(ids[2]);
    copy(here.reader(), ids[2], *there.writer);
  }
  there.writer->compact({.rewrite_below = 1.0});
  CHECK(differences(there.reader(), model).empty());
  CHECK(there.writer->check({.deep = true}).good());
  for (const PointId& id : there.ids()) there.writer->delete_point(id);
  CHECK(there.writer->figures().live_size == 0);
}

TEST_CASE("a copy of a point that is there is refused, and changes nothing") {
  std::mt19937 random(9);
  Place here(1'000'000'000'000), there(1'700'000'000'000);
  ModelStore model = fill(here, random);
  std::vector<PointId> ids = here.ids();
  copy(here.reader(), ids[0], *there.writer);
  for (Place* place : {&here, &there}) {
    try {
      copy(here.reader(), ids[0], *place->writer);
      FAIL("it was taken");
    } catch (const base::Error& error) {
      CHECK(error.code() == base::ErrorCode::already_exists);
    }
    CHECK(place->writer->check({}).good());
  }
  CHECK(here.ids() == ids);
  CHECK(there.ids() == std::vector{ids[0]});
  // Home again, it is one of the store's own.
  here.writer->delete_point(ids[0]);
  copy(there.reader(), ids[0], *here.writer);
  CHECK(here.ids() == ids);
  CHECK_FALSE(here.reader().read_point(ids[0]).lineage.origin.has_value());
  CHECK(differences(here.reader(), model).empty());
}

TEST_CASE("a copy of a copy is one of the first, and encryption is each store's own") {
  std::mt19937 random(10);
  Place first(1'000'000'000'000), second(1'100'000'000'000, {"", base::Bytes(32, 3)}),
      third(1'200'000'000'000);
  ModelStore model = fill(first, random);
  for (const PointId& id : first.ids()) {
    copy(first.reader(), id, *second.writer);
    copy(second.reader(), id, *third.writer);
    Point point = third.reader().read_point(id);
    expect_same(point, first.reader().read_point(id), true);
    expect_same(second.reader().read_point(id), point, false);
    CHECK(point.lineage.origin == PointOrigin{first.reader().id(), id});
  }
  CHECK(differences(second.reader(), model).empty());
  CHECK(differences(third.reader(), model).empty());
}

TEST_CASE("what is said of a copy is judged before anything is written") {
  std::mt19937 random(11);
  Place place(1'000'000'000'000);
  fill(place, random);
  PointDetails good = details_of_copy(place.reader().read_point(place.ids()[0]), StoreId::random());
  good.lineage.origin->point = PointId::random();
  auto code_with = [&](auto change) {
    PointDetails details = good;
    change(details);
    auto sink = place.writer->begin({"web", {{"vda", kChunk, {}}}});
    try {
      sink->commit(details);
    } catch (const base::Error& error) {
      return error.code();
    }
    return base::ErrorCode::cancelled;
  };
  using base::ErrorCode;
  CHECK(code_with([](auto& d) { d.first_dates.reset(); }) == ErrorCode::invalid_argument);
  CHECK(code_with([](auto& d) { d.lineage.origin.reset(); }) == ErrorCode::invalid_argument);
  CHECK(code_with([](auto& d) { d.lineage.origin->point = {}; }) == ErrorCode::invalid_argument);
  CHECK(code_with([](auto& d) { d.first_dates->order = 1ull << 63; }) ==
        ErrorCode::invalid_argument);
  CHECK(code_with([](auto& d) { d.first_dates->time_ms = kLatestTime_ms + 1; }) ==
        ErrorCode::invalid_argument);
  CHECK(place.ids().size() == 3);
}

TEST_CASE("a copy brings along what is known about its point") {
  std::mt19937 random(11);
  Place first(1'000'000'000'000), second(1'100'000'000'000, {"", base::Bytes(32, 3)}),
      third(1'200'000'000'000);
  fill(first, random);
  std::vector<PointId> ids = first.ids();
  CHECK(first.reader().marks(ids[0]).empty());
  first.writer->set_marks(ids[0], sample_marks());
  CHECK(first.reader().marks(ids[0]) == sample_marks());
  CHECK(first.reader().marks(ids[1]).empty());

  copy(first.reader(), ids[0], *second.writer);
  CHECK(second.reader().marks(ids[0]) == sample_marks());
  // Sealed: the words of a hold are the client's.
  MachineId machine = second.reader().hasher().machine_id("web");
  std::string file = layout::marks_file("/store", machine, ids[0]);
  base::Bytes stored = base::read_file(second.files, file, 8192);
  CHECK(base::as_text(stored).find("audit") == std::string_view::npos);
  copy(second.reader(), ids[0], *third.writer);
  CHECK(third.reader().marks(ids[0]) == sample_marks());

  // What the copy's owner finds out does not change the first one's.
  PointMarks other = sample_marks();
  other.hold.reset();
  other.boot->verdict = "fail";
  third.writer->set_marks(ids[0], other);
  CHECK(third.reader().marks(ids[0]) == other);
  CHECK(first.reader().marks(ids[0]) == sample_marks());

  third.writer->set_marks(ids[0], {});
  CHECK(third.reader().marks(ids[0]).empty());
  third.writer->delete_point(ids[0]);
  CHECK_THROWS_AS(third.writer->set_marks(ids[0], other), base::Error);
  second.writer->delete_point(ids[0]);
  CHECK_FALSE(second.files.exists(file));
  for (Place* place : {&first, &second, &third}) CHECK(place->writer->check({}).good());
}

TEST_CASE("marks that are damaged, another point's, or hostile are refused") {
  PointId id = PointId::random(), other = PointId::random();
  for (const auto& key : {std::optional<base::Key256>(), std::optional(base::Key256{})}) {
    base::Bytes good = format::encode_marks_file(id, sample_marks(), key);
    CHECK(format::decode_marks_file(good, id, key) == sample_marks());
    CHECK_THROWS_AS(format::decode_marks_file(good, other, key), base::Error);
    for (size_t i = 0; i < good.size(); ++i) {
      base::Bytes bad = good;
      bad[i] ^= 1;
      CHECK_THROWS_AS(format::decode_marks_file(bad, id, key), base::Error);
    }
    for (size_t size = 0; size < good.size(); ++size) {
      CHECK_THROWS_AS(format::decode_marks_file(base::ByteView(good).first(size), id, key),
                      base::Error);
    }
  }
  for (const char* text :
       {"", "[]", "5", R"({"boot":{}})", R"({"boot":{"verdict":"perfect","tested_ms":1}})",
        R"({"hold":{"placed_ms":-1}})", R"({"hold":{"placed_ms":1e300}})", R"({"boot":7})"}) {
    CHECK_THROWS_AS(decode_marks(base::as_bytes(text), "the marks"), base::Error);
  }
  CHECK(decode_marks(base::as_bytes(R"({"later":[1]})"), "the marks").empty());
  // Nothing that a person reads can move the cursor, and nothing becomes too long to be read again.
  PointMarks longest = sample_marks();
  longest.boot->reason = std::string(100'000, '"') + "\x1b[2J";
  longest.boot->appliance_name = std::string(100'000, '\\');
  longest.hold->reason = std::string(100'000, '\x01');
  PointMarks read = decode_marks(encode_marks(longest), "the marks");
  CHECK(read.boot->reason.size() <= kMaxMarkText);
  CHECK(read.hold->reason.find('\x01') == std::string::npos);
  const char* hostile = R"({"hold":{"placed_ms":1,"reason":"a\u001b[2Jb"}})";
  read = decode_marks(base::as_bytes(hostile), "the marks");
  CHECK(read.hold->reason.find('\x1b') == std::string::npos);
}

}  // namespace images
