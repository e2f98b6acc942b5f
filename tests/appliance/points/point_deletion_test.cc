#include "appliance/points/point_deletion.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "appliance/boot/model/boot_record.h"
#include "appliance/boot/point_uses.h"
#include "appliance/catalog/catalog.h"
#include "base/error.h"
#include "base/scratch_directory.h"
#include "base/text.h"
#include "tests/images/store/store_model.h"

namespace appliance::points {
namespace {

const catalog::TenantName kTenant(catalog::kDefaultTenant);

struct Appliance {
  base::ScratchDirectory scratch{"/tmp", "muletto-deletion-test"};
  std::unique_ptr<catalog::Catalog> catalog =
      catalog::Catalog::open(scratch.path() + "/catalog.sqlite");
  stores::TenantStores stores{base::real_file_system(), scratch.path() + "/stores", *catalog};
  boot::PointPins pins;
  std::vector<images::MachineId> forgotten;
  PointDeletion deletion{
      *catalog, stores, pins, {scratch.path(), [this](const auto&, const auto& machine) {
                                 forgotten.push_back(machine);
                               }}};

  Appliance() {
    std::filesystem::create_directories(scratch.path() + "/vms");
    stores.open_existing();
  }

  images::PointId sync(const std::string& machine) {
    images::ModelPoint point{machine, ++time_ms, {{"vda", {1, 2, 3}}}};
    auto writer = stores.writer(kTenant);
    images::PointId id = images::sync_model_point(*writer, point, std::nullopt, nullptr);
    for (const images::PointSummary& each : writer->reader().points_of(machine)) {
      if (each.id == id) catalog->add_point(kTenant, each);
    }
    return id;
  }

  // A record of an instant VM or a test boot, as BootService writes it.
  void boot(const images::PointId& point, boot::Purpose purpose, bool is_local = false) {
    boot::BootRecord record;
    record.phase = boot::Phase::started;
    record.vm.id = boot::BootId::random();
    record.vm.purpose = purpose;
    record.vm.point = point;
    record.vm.machine_name = "web";
    record.vm.accelerator = boot::Accelerator::tcg;
    record.vm.is_local = is_local;
    std::string state =
        purpose == boot::Purpose::test ? scratch.path() + "/verify/2" : scratch.path();
    boot::BootPaths paths = boot::boot_paths(state, "/nowhere", record.vm.id);
    std::filesystem::create_directories(paths.folder);
    boot::write_record(base::real_file_system(), paths, record);
  }

  size_t stored() { return stores.writer(kTenant)->reader().points().size(); }

  uint64_t time_ms = 1'700'000'000'000;
};

}  // namespace

TEST_CASE("a deleted point is gone from store and catalog; the last one takes the traces along",
          "[points]") {
  Appliance appliance;
  images::PointId first = appliance.sync("web"), second = appliance.sync("web");
  appliance.deletion.remove(kTenant, first);
  CHECK(appliance.stored() == 1);
  CHECK(appliance.catalog->points(kTenant, "web").size() == 1);
  CHECK(appliance.forgotten.empty());
  appliance.deletion.remove(kTenant, second);
  CHECK(appliance.forgotten.size() == 1);
  CHECK_THROWS_AS(appliance.deletion.remove(kTenant, second), base::Error);
}

TEST_CASE("a held point is not deleted until it is released, or its time is over", "[points]") {
  Appliance appliance;
  images::PointId point = appliance.sync("web");
  catalog::Hold hold{point, "for the auditor", base::now_ms(), {}};
  appliance.deletion.hold(kTenant, hold);
  CHECK_THROWS_WITH(appliance.deletion.remove(kTenant, point), Catch::Contains("for the auditor"));
  CHECK(appliance.stored() == 1);
  hold.until_ms = base::now_ms() - 1;
  appliance.deletion.hold(kTenant, hold);
  CHECK(appliance.catalog->holds(kTenant, base::now_ms()).empty());
  appliance.deletion.remove(kTenant, point);
  CHECK(appliance.stored() == 0);
  CHECK_FALSE(appliance.catalog->release_point(kTenant, point));
  CHECK_THROWS_AS(appliance.deletion.hold(kTenant, hold), base::Error);
}

TEST_CASE("a point that a boot needs is not deleted, and libvirt is not asked", "[points]") {
  Appliance appliance;
  images::PointId run = appliance.sync("web"), tested = appliance.sync("web"),
                  local = appliance.sync("web");
  appliance.boot(run, boot::Purpose::instant);
  appliance.boot(tested, boot::Purpose::test);
  appliance.boot(local, boot::Purpose::instant, true);
  CHECK_THROWS_WITH(appliance.deletion.remove(kTenant, run), Catch::Contains("muletto boot stop"));
  CHECK_THROWS_WITH(appliance.deletion.remove(kTenant, tested), Catch::Contains("test boot"));
  appliance.deletion.remove(kTenant, local);
  CHECK(appliance.stored() == 2);
}

TEST_CASE("a record that cannot be read keeps every point", "[points]") {
  Appliance appliance;
  images::PointId point = appliance.sync("web");
  std::string folder = appliance.scratch.path() + "/vms/" + boot::BootId::random().hex();
  std::filesystem::create_directories(folder);
  appliance.deletion.require_deletable(kTenant, point);  // it has not begun
  std::ofstream(folder + "/boot.json") << "{\"version\": 1, tru";
  CHECK_THROWS_WITH(appliance.deletion.remove(kTenant, point), Catch::Contains("cannot be read"));
  std::filesystem::remove_all(appliance.scratch.path() + "/vms");
  CHECK_THROWS_WITH(appliance.deletion.remove(kTenant, point), Catch::Contains("cannot be read"));
  CHECK(appliance.stored() == 1);
}

TEST_CASE("a boot that starts and a deletion see each other", "[points]") {
  Appliance appliance;
  images::PointId point = appliance.sync("web");
  {
    boot::PointPins::Lease starting = appliance.pins.pin(point);
    boot::PointPins::Lease another = appliance.pins.pin(point);
    CHECK_THROWS_WITH(appliance.deletion.remove(kTenant, point), Catch::Contains("being started"));
  }
  {
    boot::PointPins::Lease deleting = appliance.pins.claim(point);
    CHECK_THROWS_WITH(appliance.pins.pin(point), Catch::Contains("being deleted"));
    CHECK_THROWS_WITH(appliance.deletion.hold(kTenant, {point, "", 1, {}}),
                      Catch::Contains("being deleted"));
  }
  appliance.deletion.remove(kTenant, point);
  CHECK(appliance.stored() == 0);
}

}  // namespace appliance::points
