#include "appliance/stores/tenant_stores.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "appliance/catalog/catalog.h"
#include "base/error.h"
#include "base/scratch_directory.h"
#include "base/text.h"
#include "images/store/store_identity.h"

namespace appliance::stores {
namespace {

namespace fs = std::filesystem;
using base::ErrorCode;
using catalog::Catalog;
using Catch::Contains;

const catalog::TenantName kTenant(catalog::kDefaultTenant);

// An appliance's stores on a real disk, which the test takes away and puts back.
struct Appliance {
  base::ScratchDirectory scratch{"/tmp", "muletto-stores-test"};
  std::unique_ptr<Catalog> catalog = Catalog::open(scratch.path() + "/catalog.sqlite");
  std::unique_ptr<TenantStores> stores = make();
  std::string folder = scratch.path() + "/stores/" + kTenant.text();

  std::unique_ptr<TenantStores> make() {
    return std::make_unique<TenantStores>(base::real_file_system(), scratch.path() + "/stores",
                                          *catalog);
  }
  void restart() {
    stores.reset();
    stores = make();
    stores->open_existing();
  }
  size_t known() { return catalog->points(kTenant, "").size(); }
  StoreStanding standing() {
    stores->look();
    return stores->standing(kTenant);
  }
};

// A point of a disk of zeros.
images::PointId add_point(images::StoreWriter& writer, uint64_t time_ms) {
  images::SyncPlan plan;
  plan.machine_name = "web";
  plan.disks.push_back({"vda", 1 << 20, {}});
  images::PointDetails details;
  details.time_ms = time_ms;
  return writer.begin(plan)->commit(details);
}

// With `count` points that the catalog knows.
void fill(Appliance& appliance, int count) {
  auto writer = appliance.stores->writer(kTenant);
  for (int i = 0; i < count; ++i) add_point(*writer, 1000 + static_cast<uint64_t>(i));
  writer.reset();
  appliance.stores->recompute_points(kTenant);
}

template <typename Call>
ErrorCode code_of(Call call) {
  try {
    call();
  } catch (const base::Error& error) {
    return error.code();
  }
  FAIL("nothing was thrown");
  return ErrorCode::io;
}

}  // namespace

TEST_CASE("the default tenant's store is made once, and its id is known") {
  Appliance appliance;
  appliance.stores->open_existing();
  CHECK(appliance.standing().state == StoreState::ready);
  auto record = appliance.catalog->find_store(kTenant);
  REQUIRE(record);
  CHECK(record->id == images::identify_store(base::real_file_system(), appliance.folder).id);
}

TEST_CASE("a store that is not there is not made again, and nothing is forgotten") {
  Appliance appliance;
  fill(appliance, 2);
  appliance.stores->close();
  fs::rename(appliance.folder, appliance.folder + ".away");
  bool leaves_an_empty_folder = GENERATE(true, false);
  if (leaves_an_empty_folder) fs::create_directory(appliance.folder);
  bool restarts = GENERATE(true, false);
  if (restarts) appliance.restart();

  StoreStanding standing = appliance.standing();
  CHECK(standing.state == StoreState::missing);
  CHECK_THAT(standing.problem, Contains("mount its disk"));
  CHECK(code_of([&] { appliance.stores->writer(kTenant); }) == ErrorCode::unavailable);
  CHECK(code_of([&] { appliance.stores->recompute_points(kTenant); }) == ErrorCode::unavailable);
  CHECK(appliance.known() == 2);
  CHECK(fs::exists(appliance.folder) == leaves_an_empty_folder);
  if (leaves_an_empty_folder) CHECK(fs::is_empty(appliance.folder));

  // It is taken up by itself when it is back.
  fs::remove(appliance.folder);
  fs::rename(appliance.folder + ".away", appliance.folder);
  CHECK(appliance.standing().state == StoreState::ready);
  CHECK(appliance.stores->writer(kTenant)->reader().points().size() == 2);
  CHECK(appliance.known() == 2);
}

TEST_CASE("a store whose folder is mounted over while it is open takes nothing any more") {
  Appliance appliance;
  fill(appliance, 1);
  auto writer = appliance.stores->writer(kTenant);
  images::SyncPlan plan;
  plan.machine_name = "web";
  plan.disks.push_back({"vda", 1 << 20, {}});
  auto sink = writer->begin(plan);
  std::vector<catalog::TenantName> lost;
  appliance.stores->set_on_lost([&](const catalog::TenantName& tenant) { lost.push_back(tenant); });
  fs::rename(appliance.folder, appliance.folder + ".away");
  images::init_store(base::real_file_system(), appliance.folder);

  images::PointDetails details;
  details.time_ms = 5000;
  CHECK(code_of([&] { sink->commit(details); }) == ErrorCode::unavailable);
  CHECK(appliance.standing().state == StoreState::foreign);
  CHECK(lost == std::vector<catalog::TenantName>{kTenant});
  CHECK(appliance.known() == 1);
  sink.reset();
  writer.reset();
  CHECK_FALSE(images::identify_store(base::real_file_system(), appliance.folder).has_points);
  fs::remove_all(appliance.folder);
  fs::rename(appliance.folder + ".away", appliance.folder);
  CHECK(appliance.standing().state == StoreState::ready);
  CHECK(appliance.stores->writer(kTenant)->reader().points().size() == 1);
}

TEST_CASE("a store that is back while something still uses it is read, then taken up") {
  Appliance appliance;
  fill(appliance, 1);
  auto user = appliance.stores->writer(kTenant);
  fs::rename(appliance.folder, appliance.folder + ".away");
  CHECK(appliance.standing().state == StoreState::missing);
  fs::rename(appliance.folder + ".away", appliance.folder);
  StoreStanding standing = appliance.standing();
  CHECK(standing.state == StoreState::held);
  CHECK_THAT(standing.problem, Contains("has not ended"));
  CHECK(appliance.stores->writer(kTenant)->reader().points().size() == 1);
  CHECK(code_of([&] { appliance.stores->require_writable(kTenant); }) == ErrorCode::unavailable);
  user.reset();
  CHECK(appliance.standing().state == StoreState::ready);
  appliance.stores->require_writable(kTenant);
}

TEST_CASE("a store that another process writes to can be read, and is taken up afterwards") {
  Appliance appliance;
  fill(appliance, 1);
  appliance.stores->close();
  {
    auto other = images::StoreWriter::open(base::real_file_system(), appliance.folder);
    CHECK(appliance.standing().state == StoreState::held);
    auto writer = appliance.stores->writer(kTenant);
    auto points = writer->reader().points();
    REQUIRE(points.size() == 1);
    CHECK(code_of([&] { writer->delete_point(points[0].id); }) == ErrorCode::unavailable);
    CHECK(code_of([&] { appliance.stores->require_writable(kTenant); }) == ErrorCode::unavailable);
  }
  CHECK(appliance.standing().state == StoreState::ready);
  appliance.stores->require_writable(kTenant);
}

TEST_CASE("points that a store has lost stay in mind until an operator has them forgotten") {
  Appliance appliance;
  fill(appliance, 3);
  appliance.stores->close();
  {
    auto other = images::StoreWriter::open(base::real_file_system(), appliance.folder);
    auto points = other->reader().points();
    other->delete_point(points[1].id);
    other->delete_point(points[2].id);
  }
  CHECK(appliance.standing().missing_points == 2);
  CHECK(appliance.known() == 1);
  CHECK(appliance.catalog->missing_points(kTenant).size() == 2);
  CHECK(code_of([&] { appliance.stores->recompute_points(kTenant); }) == ErrorCode::busy);
  CHECK(appliance.stores->recompute_points(kTenant, catalog::LostPoints::forget) == 1);
  CHECK(appliance.standing().missing_points == 0);

  // What the appliance itself deleted is not lost, even if it died in between.
  auto writer = appliance.stores->writer(kTenant);
  images::PointId last = writer->reader().points().front().id;
  appliance.catalog->intend_removal(kTenant, last);
  writer->delete_point(last);
  writer.reset();
  appliance.restart();
  CHECK(appliance.standing().missing_points == 0);
  CHECK(appliance.known() == 0);
}

TEST_CASE("a new appliance takes an existing store by order alone") {
  Appliance old;
  fill(old, 2);
  old.stores->close();

  Appliance fresh;
  fs::create_directory(fresh.scratch.path() + "/stores");
  fs::copy(old.folder, fresh.folder, fs::copy_options::recursive);
  fresh.stores->open_existing();
  CHECK(fresh.standing().state == StoreState::unclaimed);
  CHECK_THAT(fresh.standing().problem, Contains("muletto tenant adopt default"));
  CHECK(fresh.known() == 0);

  Adoption adoption = fresh.stores->adopt({.tenant = kTenant});
  CHECK(adoption.is_done);
  CHECK(adoption.found_count == 2);
  CHECK(fresh.known() == 2);
  CHECK(fresh.standing().state == StoreState::ready);
  CHECK(fresh.catalog->find_machine(kTenant, "web"));
  // One store is never two tenants'.
  CHECK(code_of([&] { fresh.stores->adopt({.tenant = "acme", .directory = fresh.folder}); }) ==
        ErrorCode::busy);
}

TEST_CASE("an adoption that forgets points needs a word") {
  Appliance appliance;
  fill(appliance, 2);
  std::string other = appliance.scratch.path() + "/other";
  images::init_store(base::real_file_system(), other);
  add_point(*images::StoreWriter::open(base::real_file_system(), other), 7000);

  Adoption weighed = appliance.stores->adopt({.tenant = kTenant, .directory = other});
  CHECK_FALSE(weighed.is_done);
  CHECK(weighed.lost_count == 2);
  CHECK(weighed.found_count == 1);
  CHECK(appliance.known() == 2);
  CHECK(appliance.stores
            ->adopt({.tenant = kTenant, .directory = other, .key = "", .is_confirmed = true})
            .is_done);
  CHECK(appliance.known() == 1);
  appliance.restart();
  CHECK(appliance.stores->directory_of(kTenant) == other);
  CHECK(appliance.standing().state == StoreState::ready);
}

TEST_CASE("an encrypted tenant needs its key, and says so") {
  Appliance appliance;
  appliance.stores->open_existing();
  appliance.stores->create_tenant("acme", true);
  StoreStanding standing = appliance.stores->standing("acme");
  CHECK(standing.state == StoreState::ready);
  CHECK(standing.encrypted);
  std::string key = appliance.stores->key_file_of("acme");
  REQUIRE(fs::exists(key));
  CHECK((fs::status(key).permissions() & fs::perms::others_all) == fs::perms::none);
  add_point(*appliance.stores->writer("acme"), 1000);
  CHECK(appliance.stores->key_file_of(kTenant).empty());

  fs::rename(key, key + ".away");
  appliance.restart();
  CHECK(appliance.stores->standing("acme").state == StoreState::locked);
  CHECK(code_of([&] { appliance.stores->writer("acme"); }) == ErrorCode::unavailable);
  fs::rename(key + ".away", key);
  appliance.stores->look();
  CHECK(appliance.stores->writer("acme")->reader().points().size() == 1);
}

TEST_CASE("a tenant's store is made with the tenant, and never in somebody's files") {
  Appliance appliance;
  appliance.stores->open_existing();
  fs::create_directory(appliance.scratch.path() + "/stores/acme");
  std::ofstream(appliance.scratch.path() + "/stores/acme/letter") << "text";
  CHECK(code_of([&] { appliance.stores->create_tenant("acme", false); }) ==
        ErrorCode::already_exists);
  CHECK(appliance.catalog->tenants(catalog::TenantScope::all()).size() == 1);
  CHECK(code_of([&] { appliance.stores->create_tenant(kTenant, false); }) ==
        ErrorCode::already_exists);
  CHECK(code_of([&] { appliance.stores->create_tenant("../x", false); }) ==
        ErrorCode::invalid_argument);
}

}  // namespace appliance::stores
