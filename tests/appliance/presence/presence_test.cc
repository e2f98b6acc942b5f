#include "appliance/presence/presence.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <thread>

#include "appliance/catalog/catalog.h"
#include "appliance/pki/authority.h"
#include "appliance/presence/first_start.h"
#include "appliance/presence/store_conditions.h"
#include "base/error.h"
#include "base/mount_points.h"
#include "base/scratch_directory.h"

namespace appliance::presence {
namespace {

using Catch::Contains;

void wait_until(const std::function<bool()>& holds) {
  for (int i = 0; i < 500 && !holds(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  REQUIRE(holds());
}

}  // namespace

TEST_CASE("what is gone is a problem and an alert, and is seen to come back") {
  std::atomic<bool> is_there{true};
  Need need{"libvirt", "instant VMs", 1, 0, [&] {
              if (!is_there) throw base::Error(base::ErrorCode::unavailable, "it does not answer");
            }};
  Presence presence({{need}});
  // What was never looked at is not known to be there.
  CHECK_FALSE(presence.standings().front().problem.empty());
  presence.start();
  wait_until([&] { return presence.standings().front().problem.empty(); });
  CHECK(presence.conditions().empty());
  is_there = false;
  wait_until([&] { return !presence.conditions().empty(); });
  alerts::Condition condition = presence.conditions().front();
  CHECK(condition.kind == alerts::kDependencyMissing);
  CHECK(condition.subject == "libvirt");
  CHECK_THAT(condition.message, Contains("it does not answer") && Contains("instant VMs"));
  is_there = true;
  wait_until([&] { return presence.conditions().empty(); });
  presence.stop();
}

TEST_CASE("an alert waits for the grace, and one check that fails holds up no other group") {
  Need slow{"slow", "nothing", 1, 60'000,
            [] { throw base::Error(base::ErrorCode::unavailable, "gone"); }};
  Need odd{"odd", "nothing", 1, 0, [] { throw std::runtime_error("not ours"); }};
  Presence presence({{slow}, {odd}});
  presence.start();
  wait_until([&] { return presence.conditions().size() == 1; });
  CHECK(presence.conditions().front().subject == "odd");
  CHECK(presence.standings().size() == 2);
}

TEST_CASE("a store that cannot be used, and points that it lost, are alerts") {
  stores::StoreStanding good;
  good.tenant = "acme";
  good.state = stores::StoreState::ready;
  CHECK(store_conditions({good}).empty());
  stores::StoreStanding gone = good;
  gone.state = stores::StoreState::missing;
  gone.problem = "mount its disk";
  gone.missing_points = 7;
  auto found = store_conditions({good, gone});
  REQUIRE(found.size() == 2);
  CHECK(found[0].kind == alerts::kStoreUnusable);
  CHECK(found[0].tenant == "acme");
  CHECK(found[1].kind == alerts::kPointsMissing);
  CHECK_THAT(found[1].message, Contains("7 points"));
}

TEST_CASE("a mount point of fstab without a mount is seen, at the folder and above it") {
  const char* fstab =
      "# comment /var/x\n/dev/sdb1 /var/lib/muletto ext4 defaults 0 2\n/dev/sda1 / ext4 x\n"
      "/dev/sda2 none swap sw 0 0\n";
  const char* mounted = "/dev/sda1 / ext4 rw 0 0\n/dev/sdb1 /var/lib/muletto ext4 rw 0 0\n";
  const char* unmounted = "/dev/sda1 / ext4 rw 0 0\n";
  CHECK_FALSE(base::unmounted_above("/var/lib/muletto", fstab, mounted));
  CHECK(base::unmounted_above("/var/lib/muletto", fstab, unmounted) == "/var/lib/muletto");
  CHECK(base::unmounted_above("/var/lib/muletto/state", fstab, unmounted) == "/var/lib/muletto");
  CHECK_FALSE(base::unmounted_above("/var/lib/mulettox", fstab, unmounted));
  CHECK_FALSE(base::unmounted_above("/tmp/state", fstab, unmounted));
}

TEST_CASE("no appliance is made where a part of one is, and no authority where one is known") {
  base::ScratchDirectory scratch("/tmp", "muletto-first-start");
  Config config;
  config.state_directory = scratch.path();
  require_state_folder(config);
  auto catalog = catalog::Catalog::open(config.catalog_path());
  require_known_authority(config, *catalog);
  std::string fingerprint = pki::Authority::open(config.pki_directory(), {})->fingerprint();
  catalog->save_fact("authority", fingerprint);
  require_known_authority(config, *catalog);
  require_state_folder(config);

  SECTION("the keys are gone") {
    std::filesystem::rename(config.pki_directory(), scratch.path() + "/away");
    CHECK_THROWS_WITH(require_known_authority(config, *catalog), Contains("--init"));
    CHECK_FALSE(std::filesystem::exists(config.pki_directory()));
    config.make_missing = true;
    require_known_authority(config, *catalog);
  }
  SECTION("the keys are another's") {
    catalog->save_fact("authority", std::string(64, 'a'));
    CHECK_THROWS_WITH(require_known_authority(config, *catalog), Contains("another appliance"));
  }
  SECTION("the catalog is gone") {
    catalog.reset();
    for (const char* tail : {"", "-wal", "-shm"})
      std::filesystem::remove(config.catalog_path() + tail);
    CHECK_THROWS_WITH(require_state_folder(config), Contains("but not its catalog"));
  }
}

}  // namespace appliance::presence
