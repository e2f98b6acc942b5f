// Certificates that will expire soon, as alerts: once one has expired, agents can no longer
// connect. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "appliance/alerts/conditions.h"
#include "appliance/catalog/records.h"

namespace appliance::alerts {

constexpr uint64_t kWarnBeforeExpiryMs = 60ull * 24 * 3'600'000;

// When each expires: milliseconds since 1970 in UTC.
struct CertificateEnds {
  uint64_t authority_ms = 0;
  uint64_t server_ms = 0;
  uint64_t host_lifetime_ms = 0;  // how long a host's newest certificate is valid
};

// One for the authority and one for the appliance, both reported to every tenant of `tenants`, and
// one for each host that is not revoked. The appliance's own hosts are left out, because their
// certificates are reissued automatically.
std::vector<Condition> certificate_conditions(const CertificateEnds& ends,
                                              const std::vector<catalog::Tenant>& tenants,
                                              const std::vector<catalog::Host>& hosts,
                                              uint64_t now_ms);

}  // namespace appliance::alerts
