#include "appliance/alerts/certificate_ends.h"

#include <catch2/catch.hpp>

namespace appliance::alerts {

TEST_CASE("certificates that end soon are alerts, each in time") {
  constexpr uint64_t kDay = 24ull * 3'600'000, kNow = 20'000 * kDay;
  CertificateEnds ends{kNow + 1000 * kDay, kNow + 1000 * kDay, 3650 * kDay};
  catalog::Host host;
  host.tenant = catalog::TenantName("a");
  host.name = "alpha";
  host.certified_ms = kNow - 3500 * kDay;
  std::vector<catalog::Tenant> tenants{{"a", 1}, {"b", 1}};
  auto look = [&](uint64_t now) { return certificate_conditions(ends, tenants, {host}, now); };
  CHECK(look(kNow).empty());
  auto found = look(kNow + 100 * kDay);
  REQUIRE(found.size() == 1);
  CHECK(found[0].kind == kCertificateEnds);
  CHECK(found[0].tenant == "a");
  CHECK(found[0].subject == "alpha");
  CHECK_THAT(found[0].message, Catch::Contains("enrol it again"));
  CHECK_THAT(look(kNow + 200 * kDay).at(0).message, Catch::Contains("has ended"));
  host.revoked = true;
  CHECK(look(kNow + 100 * kDay).empty());
  host.revoked = false;
  host.name = catalog::kInternalHostName;
  CHECK(look(kNow + 100 * kDay).empty());
  // The authority's end is everybody's.
  ends.authority_ms = kNow + 50 * kDay;
  CHECK(look(kNow).size() == 2);
  ends.server_ms = kNow + 50 * kDay;
  CHECK(look(kNow).size() == 4);
}

}  // namespace appliance::alerts
