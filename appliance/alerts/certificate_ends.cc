#include "appliance/alerts/certificate_ends.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace appliance::alerts {

std::vector<Condition> certificate_conditions(const CertificateEnds& ends,
                                              const std::vector<catalog::Tenant>& tenants,
                                              const std::vector<catalog::Host>& hosts,
                                              uint64_t now_ms) {
  std::vector<Condition> found;
  auto add = [&](const catalog::TenantName& tenant, const std::string& subject, uint64_t end_ms,
                 const std::string& remedy) {
    if (end_ms > now_ms + kWarnBeforeExpiryMs) return;
    found.push_back({kCertificateEnds, tenant, subject,
                     fmt::format("the certificate of {} {} on {}: {}", subject,
                                 end_ms > now_ms ? "ends" : "has ended",
                                 base::format_time_ms(end_ms), remedy)});
  };
  for (const catalog::Tenant& tenant : tenants) {
    add(tenant.name, "the appliance's authority", ends.authority_ms,
        "then no agent can connect any more. Create a new authority and enrol every "
        "agent again");
    add(tenant.name, "the appliance", ends.server_ms,
        "restart mulettod, which issues a new one; agents and operators need not do "
        "anything");
  }
  for (const catalog::Host& host : hosts) {
    if (host.revoked || host.name == catalog::kInternalHostName) continue;
    add(host.tenant, host.name,
        std::min(host.certified_ms + ends.host_lifetime_ms, ends.authority_ms),
        fmt::format("then its agent cannot connect any more. Agents renew theirs automatically "
                    "years before: update the agent and check muletto-agent status there, or "
                    "enrol it again: muletto host revoke {}, muletto token create",
                    host.name));
  }
  return found;
}

}  // namespace appliance::alerts
