#include "agent/tracking.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "agent/state_layout.h"
#include "base/scratch_directory.h"

namespace agent {
namespace {

// Everything as after a good sync of a qcow2 disk vda of 1000 sectors.
TrackingEvidence good_evidence() {
  TrackingEvidence evidence;
  images::PointId point = images::PointId::random();
  evidence.last = BasePoint{point, 1, {{"vda", 512000}}};
  evidence.record = TrackingRecord{.point = point,
                                   .origin = images::PointId::random(),
                                   .domain_uuid = "uuid",
                                   .checkpoint = "muletto-1",
                                   .disks = {"vda"}};
  evidence.domain_uuid = "uuid";
  evidence.checkpoint_exists = true;
  evidence.checkpoint_disks = {"vda"};
  return evidence;
}

const TrackedDisk kDisk{"vda", "qcow2", 512000};

std::string reason(const TrackingEvidence& evidence, const TrackedDisk& disk = kDisk) {
  DiskDecision decision = decide(evidence, disk);
  CHECK_FALSE(decision.incremental);
  return decision.reason;
}

TEST_CASE("a bitmap counts when everything fits") {
  TrackingEvidence evidence = good_evidence();
  CHECK(decide(evidence, kDisk).incremental);
  CHECK(decide(evidence, kDisk).reason.empty());
  CHECK(decide(evidence, kDisk).since == evidence.record->origin);
}

TEST_CASE("an instant VM's origin is continued from when the record cannot be") {
  TrackingEvidence evidence = good_evidence();
  evidence.origin = Origin{images::PointId::random(), "instant-origin"};
  evidence.origin_disks = {"vda"};
  CHECK(decide(evidence, kDisk).checkpoint == "muletto-1");
  auto expect_origin = [&] {
    DiskDecision decision = decide(evidence, kDisk);
    CHECK(decision.incremental);
    CHECK(decision.since == evidence.origin->point);
    CHECK(decision.checkpoint == "instant-origin");
  };
  SECTION("there is none") { evidence.record.reset(); }
  SECTION("another point came in between") { evidence.last->id = images::PointId::random(); }
  SECTION("its checkpoint is gone") { evidence.checkpoint_exists = false; }
  SECTION("it is of an earlier instant VM") { evidence.domain_uuid = "another"; }
  if (evidence.record && evidence.record->point == evidence.last->id &&
      evidence.checkpoint_exists && evidence.domain_uuid == "uuid")
    return;
  expect_origin();
  evidence.origin_disks.clear();
  CHECK_FALSE(decide(evidence, kDisk).incremental);
  evidence.origin_disks = {"vda"};
  CHECK_FALSE(decide(evidence, {"vda", "qcow2", 512512}).incremental);
  CHECK_FALSE(decide(evidence, {"vdb", "qcow2", 512000}).incremental);
  evidence.full_wanted = true;
  CHECK_FALSE(decide(evidence, kDisk).incremental);
}

TEST_CASE("anything that does not fit is a full read, with its reason") {
  using Catch::Matchers::Contains;
  TrackingEvidence evidence = good_evidence();
  CHECK_THAT(reason(evidence, {"vdb", "qcow2", 512000}), Contains("new"));
  CHECK_THAT(reason(evidence, {"vda", "qcow2", 512512}), Contains("512000") && Contains("512512"));
  CHECK_THAT(reason(evidence, {"vda", "raw", 512000}), Contains("raw"));

  CHECK_THAT(reason(evidence, {"vda", "qcow2", 512000, "too old"}), Contains("too old"));

  evidence.full_wanted = true;
  CHECK_THAT(reason(evidence), Contains("asked for"));
  evidence = good_evidence();
  evidence.last.reset();
  CHECK_THAT(reason(evidence), Contains("first point"));
  evidence = good_evidence();
  evidence.record.reset();
  CHECK_THAT(reason(evidence), Contains("no record"));
  evidence = good_evidence();
  evidence.last->id = images::PointId::random();
  CHECK_THAT(reason(evidence), Contains(evidence.last->id.hex()));
  evidence = good_evidence();
  evidence.domain_uuid = "another";
  CHECK_THAT(reason(evidence), Contains("replaced"));
  evidence = good_evidence();
  evidence.checkpoint_exists = false;
  CHECK_THAT(reason(evidence), Contains("deleted"));
  evidence = good_evidence();
  evidence.checkpoint_disks.clear();
  CHECK_THAT(reason(evidence), Contains("does not have"));
  evidence = good_evidence();
  evidence.record->disks.clear();
  CHECK_THAT(reason(evidence), Contains("not tracked"));
}

TEST_CASE("a raw disk counts when the record is the machine's and its bitmaps are whole") {
  using Catch::Matchers::Contains;
  TrackingEvidence evidence = good_evidence();
  const TrackedDisk disk{"vda", "raw", 512000, "", true};
  CHECK_THAT(reason(evidence, disk), Contains("not tracked"));
  evidence.record->monitor = MonitorRecord{"muletto.1", "muletto.2", {{"vda", "/d"}}};
  CHECK_THAT(reason(evidence, disk), Contains("not tracked"));
  evidence.monitor_obstacles["vda"] = "";
  DiskDecision decision = decide(evidence, disk);
  CHECK(decision.incremental);
  CHECK(decision.since == evidence.record->point);
  CHECK(decision.checkpoint.empty());
  evidence.monitor_obstacles["vda"] = "QEMU forgot";
  CHECK_THAT(reason(evidence, disk), Contains("QEMU forgot"));
  evidence.monitor_obstacles["vda"] = "";
  evidence.domain_uuid = "another";
  CHECK_THAT(reason(evidence, disk), Contains("replaced"));
  evidence = good_evidence();
  CHECK_THAT(reason(evidence, {"vda", "raw", 512000, "no monitor"}), Contains("no monitor"));
}

TEST_CASE("a note names disks with one reason together") {
  CHECK(full_read_note({}) == "");
  CHECK(full_read_note({{"vda", {true, ""}}}) == "");
  CHECK(full_read_note({{"vda", {false, "x"}},
                        {"vdb", {true, ""}},
                        {"vdc", {false, "y"}},
                        {"vdd", {false, "x"}}}) == "vda, vdd read in full: x; vdc read in full: y");
}

TEST_CASE("records survive, and damaged ones do not count") {
  base::ScratchDirectory scratch("/tmp", "muletto-scratch-test");
  make_agent_directories(scratch.path() + "/state", scratch.path() + "/run");
  std::string state = scratch.path() + "/state", machine = "a/b: ü";
  CHECK_FALSE(load_tracking(state, machine));
  TrackingRecord record{.point = images::PointId::random(),
                        .origin = images::PointId::random(),
                        .domain_uuid = "uuid",
                        .checkpoint = "muletto-1",
                        .disks = {"vda", "vdb"},
                        .monitor = MonitorRecord{"muletto.1", "muletto.2", {{"vdc", "/d"}}}};
  save_tracking(state, machine, record);
  auto loaded = load_tracking(state, machine);
  REQUIRE(loaded);
  CHECK(loaded->point == record.point);
  CHECK(loaded->origin == record.origin);
  CHECK(loaded->domain_uuid == record.domain_uuid);
  CHECK(loaded->checkpoint == record.checkpoint);
  CHECK(loaded->disks == record.disks);
  REQUIRE(loaded->monitor);
  CHECK(loaded->monitor->witness == "muletto.2");
  CHECK(loaded->monitor->files == record.monitor->files);
  REQUIRE(list_tracking(state).size() == 1);
  CHECK(list_tracking(state)[0].first == machine);
  CHECK_FALSE(load_tracking(state, "other"));

  for (const char* text :
       {"", "{", "{}", "[]", R"({"version": 99})", R"({"version": 1, "point": 7})",
        R"({"version":1,"point":"00","domain_uuid":"u","checkpoint":"c","disks":[]})"}) {
    INFO(text);
    std::ofstream(tracking_path(state, machine)) << text;
    CHECK_FALSE(load_tracking(state, machine));
    CHECK(list_tracking(state).empty());
  }
  forget_tracking(state, machine);
  forget_tracking(state, machine);
  CHECK_FALSE(load_tracking(state, machine));
}

}  // namespace
}  // namespace agent
