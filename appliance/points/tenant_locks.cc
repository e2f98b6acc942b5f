#include "appliance/points/tenant_locks.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"

namespace appliance::points {
namespace {

constexpr uint64_t kDayMs = 24 * 3'600'000;

std::string fact_of(const catalog::TenantName& tenant) { return "lock of " + tenant.text(); }

}  // namespace

TenantLock TenantLocks::lock_of(const catalog::TenantName& tenant) {
  auto fact = catalog_.find_fact(fact_of(tenant));
  if (!fact) return {};
  nlohmann::json kept = base::parse_json(*fact, "the tenant's lock in the catalog");
  TenantLock lock;
  lock.days = static_cast<uint32_t>(base::expect_natural(kept, "days"));
  auto next = base::find_natural(kept, "next_days");
  if (!next) return lock;
  uint64_t waited_ms = lived_.now_ms() - base::expect_natural(kept, "since");
  if (waited_ms >= lock.days * kDayMs) return {static_cast<uint32_t>(*next), std::nullopt, 0};
  lock.next_days = static_cast<uint32_t>(*next);
  lock.until_next_ms = lock.days * kDayMs - waited_ms;
  return lock;
}

TenantLock TenantLocks::set(const catalog::TenantName& tenant, uint64_t days) {
  if (days > kMaxDays)
    throw base::Error(base::ErrorCode::invalid_argument,
                      fmt::format("a lock has at most {} days", kMaxDays));
  catalog_.require_tenant(tenant);
  auto writing = writing_.lock();
  TenantLock now = lock_of(tenant);
  nlohmann::json kept{{"days", std::max<uint64_t>(days, now.days)}};
  if (days < now.days) {
    kept["next_days"] = days;
    kept["since"] = lived_.now_ms();
  }
  catalog_.save_fact(fact_of(tenant), base::dump_text(kept));
  return lock_of(tenant);
}

std::string TenantLocks::obstacle(const catalog::TenantName& tenant, const images::PointId& point) {
  TenantLock lock = lock_of(tenant);
  if (lock.days == 0) return "";
  uint64_t age_ms = 0;
  if (auto owner = catalog_.find_owner(tenant, point)) {
    for (const catalog::PointRow& row : catalog_.points(tenant, owner->machine_name)) {
      if (row.summary.id == point) age_ms = lived_.age_ms(row.summary.time_ms);
    }
  }
  if (age_ms >= lock.days * kDayMs) return "";
  return fmt::format(
      "the points of tenant {} are locked for {} days: this one can be removed by nobody for "
      "another {}, in which the appliance runs",
      tenant.text(), lock.days, base::format_duration_ms(lock.days * kDayMs - age_ms));
}

}  // namespace appliance::points
