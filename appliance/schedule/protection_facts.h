// Gathers what is known of machines, hosts and stores, for alerts::conditions_of(). Changes
// nothing.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "appliance/alerts/conditions.h"
#include "appliance/catalog/catalog.h"
#include "appliance/policy/policy.h"
#include "appliance/schedule/clock_trust.h"
#include "appliance/stores/tenant_stores.h"
#include "base/clock.h"

namespace appliance::schedule {

// A host that has polled since the daemon began.
struct SeenHost {
  std::string tenant;
  std::set<std::string> machines;
  uint64_t polled_ms = 0;  // by the steady clock
};

struct FactSources {
  catalog::Catalog& catalog;
  stores::TenantStores& stores;
  std::function<std::map<catalog::HostId, SeenHost>()> hosts;
  std::function<std::shared_ptr<const policy::Policy>(const std::string& tenant,
                                                      const std::string& name)>
      policy;
  const base::Clock& clock;
  uint64_t started_ms = 0;            // when the daemon began, by the steady clock
  ClockTrust* clock_trust = nullptr;  // null: the clock is trusted
};

// Throws what the catalog throws.
alerts::Facts protection_facts(const FactSources& sources, uint64_t now_ms);

}  // namespace appliance::schedule
