// What dates a point, and what orders the points of a machine: never a host's clock, and no clock
// at all.
#include <catch2/catch.hpp>

#include "base/memory_file_system.h"
#include "base/scratch_directory.h"
#include "base/text.h"
#include "images/format/store_format.h"
#include "images/store/place/layout.h"
#include "images/store/store_reader.h"
#include "images/store/store_writer.h"
#include "tests/images/store/old_store.h"

namespace images {
namespace {

constexpr uint64_t kMinute = 60'000, kDay = 24 * 60 * kMinute, kYear = 365 * kDay;

struct DatedStore {
  base::ScratchDirectory scratch{"/tmp", "muletto-dates-test"};
  std::string index = scratch.path() + "/index";
  base::MemoryFileSystem files;
  base::ManualClock clock{base::now_ms()};
  std::unique_ptr<StoreWriter> writer;

  DatedStore() {
    files.make_directory("/store");
    init_store(files, "/store", {.chunk_size = 4096});
    open();
  }
  void open() {
    writer.reset();
    WriterLimits limits;
    limits.clock = &clock;
    writer = StoreWriter::open(files, "/store", {}, index, limits);
  }
  PointId add(uint64_t host_time_ms, uint64_t duration_ms = 0) {
    auto sink = writer->begin({"web", {{"vda", 4096, {}}}});
    PointDetails details;
    details.time_ms = host_time_ms;
    details.figures.duration_ms = duration_ms;
    return sink->commit(details);
  }
  // Puts a manifest of version 1 in the place of the point's.
  void make_old(const PointId& id, uint64_t time_ms) {
    ChunkHasher hasher(4096, {});
    std::string path = layout::manifest_file("/store", hasher.machine_id("web"), id);
    base::Bytes bytes = base::read_file(files, path, format::kMaxManifestSize);
    files.remove(path);
    base::write_file_durably(files, path, manifest_of_version_1(bytes, time_ms));
  }
  PointSummary last() { return writer->reader().points_of("web").back(); }
  PointId find(const std::string& selector) { return writer->reader().find_point(selector); }
};

}  // namespace

TEST_CASE("the time that is shown for a point selects it") {
  DatedStore store;
  store.clock.set_wall(1'800'000'000'500);
  PointId first = store.add(0);
  CHECK(store.find("web@" + base::format_time_ms(store.last().time_ms)) == first);
  store.clock.pass(300);
  PointId second = store.add(0);
  CHECK(store.find("web@" + base::format_time_ms(store.last().time_ms)) == second);
  store.clock.pass(1000);
  store.add(0);
  CHECK(store.find("web@" + base::format_time_ms(1'800'000'000'500)) == second);
  CHECK_THROWS(store.find("web@" + base::format_time_ms(1'799'999'999'999)));
}

TEST_CASE("a host's clock is kept and told, and decides nothing") {
  DatedStore store;
  const uint64_t now = store.clock.wall_ms();
  for (uint64_t host : {now + 300 * kDay, now - kYear, uint64_t{0}, ~uint64_t{0}, now}) {
    PointId id = store.add(host);
    PointSummary point = store.last();
    CHECK(point.id == id);
    CHECK(store.find("web@latest") == id);
    CHECK(point.time_ms == now);
    CHECK(point.dates.host_time_ms == std::min(host, kLatestTime_ms));
    CHECK(point.dates.host_clock_wrong == (host != now));
    CHECK_FALSE(point.dates.dated_by_host);
  }
  // The same from the manifests alone.
  auto before = store.writer->reader().points();
  store.writer.reset();
  rebuild_index(store.files, "/store", store.index);
  store.open();
  auto after = store.writer->reader().points();
  REQUIRE(after.size() == before.size());
  for (size_t i = 0; i < after.size(); ++i) {
    CHECK(after[i].id == before[i].id);
    CHECK(after[i].dates == before[i].dates);
  }
  CHECK(clock_note(before[0].time_ms, before[0].dates) == "the host's clock was 300 d 0 h ahead");
  CHECK(clock_note(before[1].time_ms, before[1].dates) == "the host's clock was 365 d 0 h behind");
  CHECK(clock_note(before[4].time_ms, before[4].dates).empty());
}

TEST_CASE("a long sync is no wrong clock") {
  CHECK_FALSE(is_host_clock_wrong(1000 * kMinute, 1000 * kMinute, 0));
  CHECK_FALSE(is_host_clock_wrong(1002 * kMinute, 1000 * kMinute, 0));
  CHECK(is_host_clock_wrong(1002 * kMinute + 1, 1000 * kMinute, 0));
  CHECK(is_host_clock_wrong(1003 * kMinute, 1000 * kMinute, 600 * kMinute));
  CHECK_FALSE(is_host_clock_wrong(998 * kMinute, 1000 * kMinute, 0));
  CHECK(is_host_clock_wrong(997 * kMinute, 1000 * kMinute, 0));
  CHECK_FALSE(is_host_clock_wrong(397 * kMinute, 1000 * kMinute, 601 * kMinute));
  DatedStore store;
  store.add(store.clock.wall_ms() - 100 * kMinute, 100 * kMinute);
  CHECK_FALSE(store.last().dates.host_clock_wrong);
  // A host's word for its duration is believed within bounds.
  store.add(store.clock.wall_ms() - kYear, ~uint64_t{0});
  CHECK(store.last().dates.host_clock_wrong);
}

TEST_CASE("the own clock jumps either way, and the order of the points stays") {
  DatedStore store;
  std::vector<PointId> ids;
  for (uint64_t wall : {kYear * 60, kYear * 61, kYear * 59, kYear * 59, kYear * 60}) {
    store.clock.set_wall(wall);
    ids.push_back(store.add(wall));
    CHECK(store.find("web@latest") == ids.back());
    CHECK(store.last().time_ms == wall);
  }
  store.open();
  std::vector<PointId> listed;
  for (const PointSummary& point : store.writer->reader().points_of("web"))
    listed.push_back(point.id);
  CHECK(listed == ids);
  // By time it is the last one in order that was taken in no later.
  CHECK(store.find("web@2029-06-01") == ids[3]);
  CHECK(store.find("web@2030-06-01") == ids[4]);
  CHECK(store.find("web@2031-06-01") == ids[4]);
  CHECK_THROWS(store.find("web@2001-01-01"));
  store.writer->delete_point(ids[1]);
  CHECK(store.find("web@latest") == ids[4]);
  CHECK(store.writer->check({}).good());
}

TEST_CASE("a store of before points had two times is read, and can be written") {
  DatedStore store;
  const uint64_t now = store.clock.wall_ms(), ahead = base::parse_time_ms("2100-01-01");
  PointId first = store.add(now), second = store.add(now), wrong = store.add(now);
  store.writer.reset();
  store.make_old(first, now - 2 * kDay);
  store.make_old(second, now - kDay);
  store.make_old(wrong, ahead);
  rebuild_index(store.files, "/store", store.index);
  store.open();
  auto ids = [&] {
    std::vector<PointId> found;
    for (const PointSummary& point : store.writer->reader().points_of("web"))
      found.push_back(point.id);
    return found;
  };
  CHECK(ids() == std::vector<PointId>{first, second, wrong});
  CHECK(store.last().dates.dated_by_host);
  CHECK(store.last().time_ms == ahead);
  CHECK(store.find("web@latest") == second);
  PointId fresh = store.add(now);
  CHECK(store.find("web@latest") == fresh);
  CHECK(ids() == std::vector<PointId>{first, second, wrong, fresh});
  store.writer->delete_point(wrong);
  CHECK(store.writer->check({}).good());
}

TEST_CASE("an old point that its host has dated ahead is not the latest") {
  auto point = [](uint8_t id, uint64_t time_ms) {
    PointSummary made;
    made.id.bytes[0] = id;
    made.time_ms = time_ms;
    made.dates = format::dates_of_version_1(time_ms);
    return made;
  };
  std::vector<PointSummary> points{point(1, 100), point(2, 200), point(3, 9000)};
  CHECK(newest_of(points, 1000)->id == points[1].id);
  CHECK(newest_of(points, 9000)->id == points[2].id);
  points.erase(points.begin(), points.begin() + 2);
  CHECK(newest_of(points, 1000)->id == points[0].id);
  points.clear();
  CHECK(newest_of(points, 1000) == points.end());
}

}  // namespace images
