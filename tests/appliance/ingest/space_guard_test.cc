#include "appliance/ingest/space_guard.h"

#include <catch2/catch.hpp>

#include "appliance/catalog/catalog.h"
#include "base/error.h"
#include "base/scratch_directory.h"

namespace appliance::ingest {
namespace {

constexpr uint64_t kGiB = 1ull << 30;

// One disk, one tenant, and a clock that the test moves.
struct Setup {
  base::ScratchDirectory scratch{"/tmp", "muletto-space-test"};
  std::unique_ptr<catalog::Catalog> catalog =
      catalog::Catalog::open(scratch.path() + "/catalog.sqlite");
  DiskSpace space{10 * kGiB, 100 * kGiB};
  uint64_t store_size = 0;
  SpaceGuard::Clock::time_point now{std::chrono::hours(1000)};
  SpaceGuard guard;
  catalog::Host host;

  explicit Setup(const SpaceLimits& limits = {})
      : guard(*catalog, {"/store", "/state"}, limits,
              {[this](const std::string&) { return space; },
               [this](const catalog::TenantName&) { return store_size; }, [this] { return now; }}) {
    host.id = catalog::HostId::random();
    host.tenant = catalog::TenantName(catalog::kDefaultTenant);
    host.name = "noisy";
  }

  std::vector<std::string> kinds() {
    std::vector<std::string> kinds;
    for (const auto& each : guard.conditions()) kinds.push_back(each.kind);
    return kinds;
  }
};

using Kinds = std::vector<std::string>;

}  // namespace

TEST_CASE("the reserve grows with the disk, and is a tenth of a small one") {
  CHECK(default_reserve(64ull << 20) == (64ull << 20) / 10);
  CHECK(default_reserve(20 * kGiB) == kGiB);
  CHECK(default_reserve(1000 * kGiB) == 20 * kGiB);
}

TEST_CASE("syncs leave the reserve free, and an alert names who stored most") {
  Setup setup;
  {
    auto claim = setup.guard.claim(setup.host, 7 * kGiB);
    // What another sync is about to write is not there any more.
    CHECK_THROWS_WITH(setup.guard.claim(setup.host, 2 * kGiB),
                      Catch::Contains("no space for syncs"));
  }
  CHECK(setup.guard.claim(setup.host, 8 * kGiB));
  CHECK(setup.kinds().empty());
  setup.guard.stored(setup.host, 5 * kGiB);
  setup.space.free = kGiB;
  try {
    setup.guard.claim(setup.host, 0);
    FAIL("the reserve was given away");
  } catch (const base::Error& error) {
    CHECK(error.code() == base::ErrorCode::no_space);
  }
  auto found = setup.guard.conditions();
  REQUIRE(found.size() == 1);
  CHECK(found[0].kind == alerts::kSyncsWithoutSpace);
  CHECK_THAT(found[0].message, Catch::Contains("5.0 GiB, came from the host 'noisy'"));
}

TEST_CASE("the alert lasts until what was refused would be taken") {
  Setup setup;
  setup.space.free = 2 * kGiB + (1 << 20);
  CHECK(setup.kinds().empty());
  CHECK_THROWS_AS(setup.guard.claim(setup.host, 1 << 26), base::Error);
  CHECK(setup.kinds() == Kinds{alerts::kSyncsWithoutSpace});
  setup.space.free = 3 * kGiB;
  CHECK(setup.kinds().empty());
  setup.space.free = 2 * kGiB + (1 << 20);
  CHECK(setup.kinds().empty());
}

TEST_CASE("a tenant has its quota, and is told before it is used up") {
  Setup setup;
  setup.catalog->set_tenant_quota("default", 10 * kGiB);
  CHECK(setup.catalog->tenant_quota("default") == 10 * kGiB);
  setup.store_size = 7 * kGiB;
  CHECK(setup.guard.claim(setup.host, kGiB));
  CHECK(setup.kinds().empty());
  setup.guard.stored(setup.host, 2 * kGiB);  // counts at once, not with the next look at the disk
  CHECK(setup.kinds() == Kinds{alerts::kQuotaNearlyUsed});
  CHECK_THROWS_WITH(setup.guard.claim(setup.host, 2 * kGiB),
                    Catch::Contains("takes 9.0 GiB of the 10.0 GiB"));
  setup.store_size = kGiB;  // after a compaction
  setup.now += std::chrono::minutes(1);
  CHECK(setup.guard.claim(setup.host, 2 * kGiB));
  setup.catalog->set_tenant_quota("default", std::nullopt);
  setup.store_size = 50 * kGiB;
  CHECK(setup.guard.claim(setup.host, kGiB));
}

TEST_CASE("a host has its volume of a day") {
  Setup setup({.host_volume = 10 * kGiB});
  setup.guard.stored(setup.host, 6 * kGiB);
  setup.now += std::chrono::hours(12);
  setup.guard.stored(setup.host, 3 * kGiB);
  CHECK(setup.kinds() == Kinds{alerts::kHostVolume});
  CHECK_THROWS_WITH(setup.guard.claim(setup.host, 2 * kGiB), Catch::Contains("'noisy'"));
  catalog::Host other = setup.host;
  other.id = catalog::HostId::random();
  CHECK(setup.guard.claim(other, 2 * kGiB));
  setup.now += std::chrono::hours(12);
  CHECK(setup.guard.claim(setup.host, 2 * kGiB));
  CHECK(setup.kinds().empty());
  setup.now += std::chrono::hours(500);
  CHECK(setup.guard.claim(setup.host, 8 * kGiB));
}

}  // namespace appliance::ingest
