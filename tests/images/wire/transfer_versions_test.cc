// Two programs of different age speak the older one's version; and what version 2 brought: lists of
// points, and copies that are the same points.
#include <catch2/catch.hpp>
#include <random>

#include "base/memory_file_system.h"
#include "base/scratch_directory.h"
#include "images/point_copy.h"
#include "images/store/store_writer.h"
#include "images/sync/sync_engine.h"
#include "images/wire/transfer_client.h"
#include "tests/images/store/store_model.h"
#include "tests/images/wire/transfer_setup.h"

namespace images {
namespace {

using base::ErrorCode;

constexpr wire::Versions kVersion1{1, 1};

struct Pairing {
  std::string name;
  wire::Versions agent, appliance;
  uint16_t spoken;
};

std::vector<Pairing> pairings() {
  return {{"both new", {}, {}, 2},
          {"an old agent", kVersion1, {}, 1},
          {"an old appliance", {}, kVersion1, 1},
          {"both old", kVersion1, kVersion1, 1}};
}

struct StoreSetup {
  base::ScratchDirectory scratch{"/tmp", "muletto-versions-test"};
  base::MemoryFileSystem files;
  std::unique_ptr<StoreWriter> writer;
  TestHost host;

  StoreSetup() {
    files.make_directory("/store");
    init_store(files, "/store", {.chunk_size = kChunk});
    writer = StoreWriter::open(files, "/store", {}, scratch.path() + "/index");
    host.make_sink = [this](const SyncPlan& plan) { return writer->begin(plan); };
  }
  StoreReader& reader() { return writer->reader(); }
};

PointId copy_over_the_wire(StoreReader& from, const PointId& id, StoreSetup& to,
                           const wire::Versions& versions = {}) {
  auto [near, far] = base::make_stream_pair();
  Serving serving(std::move(far), to.host, {.versions = versions});
  Point point = from.read_point(id);
  SyncPlan plan = plan_of_copy(point);
  auto disk = from.open_disk(id, "vda");
  std::vector<DiskSource*> sources{disk.get()};
  auto sink = open_remote_sink(std::move(near), plan);
  copy_disks(plan, sources, *sink, {});
  return sink->commit(details_of_copy(point, from.id()));
}

}  // namespace

TEST_CASE("an old agent and a new appliance speak version 1, and so do a new agent and an old one",
          "[transfer]") {
  Pairing pairing = GENERATE(from_range(pairings()));
  CAPTURE(pairing.name);
  StoreSetup source, target;
  std::mt19937 random(5);
  ModelPoint content{"db", 1'000, {{"vda", ModelContent(200)}}};
  change_at_random(content.disks["vda"], 80, random);
  PointId id = sync_model_point(*source.writer, content, {}, nullptr);
  auto disk = source.reader().open_disk(id, "vda");
  std::vector<DiskSource*> sources{disk.get()};
  SyncPlan plan{"db", {{"vda", disk->size(), std::nullopt}}};
  // The first sync is in full, the second relative to it: its parent is what OPEN said, in each
  // version.
  std::vector<PointId> made;
  for (int i = 0; i < 2; ++i) {
    auto [near, far] = base::make_stream_pair();
    Serving serving(std::move(far), target.host, {.versions = pairing.appliance});
    auto sink = open_remote_sink(std::move(near), plan, pairing.agent);
    copy_disks(plan, sources, *sink, {});
    PointDetails details;
    details.note = "note";
    details.lineage.parent = PointId::random();  // nobody's word
    made.push_back(sink->commit(details));
    sink.reset();
    CHECK(serving.ending().message == "");
    plan.disks[0].base = made.front();
  }
  CHECK(target.reader().read_point(made[0]).lineage == PointLineage{});
  CHECK(target.reader().read_point(made[1]).lineage == PointLineage{made[0], std::nullopt});
  CHECK(differences(target.reader(), {{made[0], content}, {made[1], content}}).empty());

  target.host.last = wire::LastPoint{made[1], 5, {{"vda", 512}}};
  target.host.listed = target.reader().points_of("db");
  {
    auto [near, far] = base::make_stream_pair();
    Serving serving(std::move(far), target.host, {.versions = pairing.appliance});
    CHECK(query_last_point(std::move(near), "db", pairing.agent) == target.host.last);
    CHECK(serving.ending().message == "");
  }
  auto [near, far] = base::make_stream_pair();
  Serving serving(std::move(far), target.host, {.versions = pairing.appliance});
  size_t listed = 0;
  Ending ending = ending_of(
      [&, &stream = near] { listed = list_points(std::move(stream), "db", pairing.agent).size(); });
  if (pairing.spoken == 1) CHECK(ending.code == ErrorCode::unsupported);
  else CHECK(listed == 2);
}

TEST_CASE("a list of points comes in pages, in the order of the timeline", "[transfer]") {
  ModelSetup setup(kChunk);
  size_t count = GENERATE(size_t{0}, size_t{1}, size_t{256}, size_t{257}, size_t{1000});
  for (size_t i = 0; i < count; ++i) {
    PointSummary point;
    point.id = PointId::random();
    point.time_ms = 5 * i;
    point.dates.order = i / 3;  // several of one order: then by id
    point.size = i;
    setup.host.listed.push_back(point);
  }
  std::sort(setup.host.listed.begin(), setup.host.listed.end(), [](const auto& a, const auto& b) {
    return std::tie(a.dates.order, a.id) < std::tie(b.dates.order, b.id);
  });
  auto [near, far] = base::make_stream_pair();
  Serving serving(std::move(far), setup.host);
  auto points = list_points(std::move(near), "db");
  CHECK(serving.ending().message == "");
  REQUIRE(points.size() == count);
  for (size_t i = 0; i < count; ++i) {
    CHECK(points[i].id == setup.host.listed[i].id);
    CHECK(points[i].time_ms == setup.host.listed[i].time_ms);
    CHECK(points[i].size == setup.host.listed[i].size);
    CHECK(points[i].machine_name == "db");
  }
  // Not of somebody else's machine.
  setup.host.on_authorize = [](const std::string&) {
    throw base::Error(ErrorCode::unauthorized, "another host's machine");
  };
  auto [near2, far2] = base::make_stream_pair();
  Serving refusing(std::move(far2), setup.host);
  CHECK(ending_of([&, &stream = near2] { list_points(std::move(stream), "db"); }).code ==
        ErrorCode::unauthorized);
}

TEST_CASE("a copy over the wire is the same point", "[transfer]") {
  StoreSetup here, there;
  there.host.allows_copies = true;
  std::mt19937 random(6);
  ModelStore model;
  ModelPoint content{"db", 1'000, {{"vda", ModelContent(200)}}};
  std::optional<PointId> base;
  for (int i = 0; i < 2; ++i) {
    ModelPoint before = content;
    change_at_random(content.disks["vda"], 60, random);
    base = sync_model_point(*here.writer, content, base, &before);
    model[*base] = content;
  }
  for (const PointSummary& point : here.reader().points())
    CHECK(copy_over_the_wire(here.reader(), point.id, there) == point.id);
  CHECK(differences(there.reader(), model).empty());
  for (const PointSummary& point : here.reader().points()) {
    Point original = here.reader().read_point(point.id),
          copied = there.reader().read_point(point.id);
    CHECK(copied.time_ms == original.time_ms);
    CHECK(copied.dates == original.dates);
    CHECK(copied.disks[0].root == original.disks[0].root);
    CHECK(copied.figures.bytes_sent == original.figures.bytes_sent);
    CHECK(copied.lineage.parent == original.lineage.parent);
    CHECK(copied.lineage.origin == PointOrigin{here.reader().id(), point.id});
  }
  // Twice, to somebody who does not take copies, and to somebody who knows none.
  PointId id = *base;
  auto refusal = [&](StoreSetup& to, const wire::Versions& versions) {
    return ending_of([&] { copy_over_the_wire(here.reader(), id, to, versions); }).code;
  };
  CHECK(refusal(there, {}) == ErrorCode::already_exists);
  StoreSetup other;
  CHECK(refusal(other, {}) == ErrorCode::unauthorized);
  other.host.allows_copies = true;
  CHECK(refusal(other, kVersion1) == ErrorCode::unsupported);
  CHECK(other.reader().points().empty());
}

}  // namespace images
