// Locks of tenants: no point that is younger than a number of days can be removed through the product,
// by anybody. Days are lived time (lived_time.h): neither a wrong clock nor one that somebody turns
// makes a point older, and days in which the appliance was off do not count.
//
// A lock is raised at once. It is lowered, or lifted, only after as many days as it has: whoever wants to
// destroy points has to wait as long as if he waited for the points. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "appliance/catalog/catalog.h"
#include "appliance/points/lived_time.h"
#include "base/guarded.h"

namespace appliance::points {

struct TenantLock {
  uint32_t days = 0;  // 0: not locked
  // What it will have, and in how much lived time.
  std::optional<uint32_t> next_days;
  uint64_t until_next_ms = 0;
};

class TenantLocks {
 public:
  // Both outlive it.
  TenantLocks(catalog::Catalog& catalog, LivedTime& lived) : catalog_(catalog), lived_(lived) {}

  TenantLock lock_of(const catalog::TenantName& tenant);
  // Durable when it returns. Throws invalid_argument for more than kMaxDays, not_found.
  TenantLock set(const catalog::TenantName& tenant, uint64_t days);
  // Why the point must not be removed; empty: no lock is in the way. A point that the catalog does not
  // know is locked as long as its tenant is.
  std::string obstacle(const catalog::TenantName& tenant, const images::PointId& point);

  static constexpr uint64_t kMaxDays = 3650;

 private:
  catalog::Catalog& catalog_;
  LivedTime& lived_;
  base::Guarded<int> writing_;  // a change reads, and replaces what it has read
};

}  // namespace appliance::points
