// Which test boots wait, and that a machine has one of them.
#include <catch2/catch.hpp>
#include <filesystem>

#include "appliance/catalog/catalog.h"
#include "appliance/verify/verify_service.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/scratch_directory.h"
#include "tests/appliance/boot/fake_hypervisor.h"
#include "tests/appliance/verify/no_watch.h"

namespace appliance::verify {
TEST_CASE("a machine's test boot waits once, and a named point's beside it", "[verify]") {
  base::ScratchDirectory scratch("/tmp", "muletto-verify-queue");
  auto catalog = catalog::Catalog::open(scratch.path() + "/catalog.sqlite");
  std::filesystem::create_directory(scratch.path() + "/stores");
  stores::TenantStores stores(base::real_file_system(), scratch.path() + "/stores", *catalog);
  stores.create_tenant("office", false);
  auto writer = stores.writer("office");
  auto commit = [&] { return writer->begin({"web", {{"vda", 4096, {}}}})->commit({}); };
  images::PointId first = commit(), second = commit();
  jobs::JobRunner jobs(*catalog, {});
  boot::FakeHypervisor hypervisor;
  NoWatch watch;
  // Without workers, so that all that is ordered waits.
  VerifyService service({.worker_count = 0, .queue_size = 3}, hypervisor, watch, *catalog, stores,
                        jobs);
  const access::TenantName kOffice("office");
  const access::Requester kRoot("root");
  jobs::JobId after_sync = service.request(kOffice, "web@latest", "sync", kRoot);
  for (int minute = 0; minute < 600; ++minute)
    CHECK(service.request(kOffice, "web@latest", "sync", kRoot) == after_sync);
  CHECK(service.request(kOffice, "web@latest", "nightly", kRoot) == after_sync);
  jobs::JobId by_order = service.request(kOffice, first.hex(), "order", kRoot);
  CHECK(by_order != after_sync);
  CHECK(service.request(kOffice, first.hex(), "order", kRoot) == by_order);
  CHECK(service.request(kOffice, second.hex(), "order", kRoot) != by_order);
  commit();
  CHECK_THROWS_WITH(service.request(kOffice, "web@latest", "order", kRoot),
                    Catch::Contains("3 test boots are already waiting"));
}

}  // namespace appliance::verify
