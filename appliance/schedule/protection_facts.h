// Collects what is known of machines, hosts and stores, for alerts::conditions_of(). Changes
// nothing.
#pragma once

#include <cstdint>

#include "appliance/alerts/conditions.h"
#include "appliance/catalog/catalog.h"
#include "appliance/schedule/clock_trust.h"
#include "appliance/schedule/policies.h"
#include "appliance/schedule/scheduler.h"
#include "appliance/stores/tenant_stores.h"
#include "base/clock.h"

namespace appliance::schedule {

// All must outlive the owner of this.
struct FactSources {
  catalog::Catalog& catalog;
  stores::TenantStores& stores;
  Scheduler& scheduler;
  Policies& policies;
  ClockTrust& clock_trust;
  const base::Clock& clock = base::system_clock();
  uint64_t started_ms = clock.steady_ms();  // when the daemon started, by the steady clock
};

// Throws what the catalog throws.
alerts::Facts protection_facts(const FactSources& sources, uint64_t now_ms);

}  // namespace appliance::schedule
