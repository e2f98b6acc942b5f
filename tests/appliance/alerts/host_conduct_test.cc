#include "appliance/alerts/host_conduct.h"

#include <catch2/catch.hpp>

namespace appliance::alerts {

TEST_CASE("an alert names a host that misbehaves, for an hour after the last time") {
  HostConduct::Clock::time_point now{};
  HostConduct conduct([&] { return now; });
  CHECK(conduct.conditions().empty());
  catalog::Host host;
  host.id = catalog::HostId::random();
  host.tenant = catalog::TenantName("a");
  host.name = "thief";
  conduct.note(host, {"orders", "it claims orders that nobody gave it"});
  now += std::chrono::minutes(50);
  conduct.note(host, {"requests", "it asks too often"});
  auto found = conduct.conditions();
  REQUIRE(found.size() == 1);
  CHECK(found[0].kind == kHostMisbehaves);
  CHECK(found[0].tenant == "a");
  CHECK(found[0].subject == "thief");
  CHECK_THAT(found[0].message, Catch::Contains("nobody gave it; it asks too often"));
  now += std::chrono::minutes(11);
  CHECK_THAT(conduct.conditions().at(0).message, !Catch::Contains("nobody gave it"));
  now += std::chrono::hours(1);
  CHECK(conduct.conditions().empty());
}

}  // namespace appliance::alerts
