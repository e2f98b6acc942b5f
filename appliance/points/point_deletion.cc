#include "appliance/points/point_deletion.h"

#include <fmt/format.h>

#include "appliance/boot/point_uses.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::points {

using base::Error;
using base::ErrorCode;

PointDeletion::PointDeletion(catalog::Catalog& catalog, stores::TenantStores& stores,
                             boot::PointPins& pins, Options options)
    : catalog_(catalog), stores_(stores), pins_(pins), options_(std::move(options)) {}

void PointDeletion::require_deletable(const catalog::TenantName& tenant,
                                      const images::PointId& point) {
  if (options_.locks != nullptr) {
    std::string obstacle = options_.locks->obstacle(tenant, point);
    if (!obstacle.empty()) throw Error(ErrorCode::busy, obstacle);
  }
  auto holds = catalog_.holds(tenant, base::now_ms());
  if (auto hold = holds.find(point); hold != holds.end()) {
    std::string reason = hold->second.reason.empty() ? "" : " (" + hold->second.reason + ")";
    throw Error(ErrorCode::busy,
                fmt::format("the point is held{0}; release it first: muletto point release {1}",
                            reason, point.hex()));
  }
  boot::PointUses uses = boot::point_uses(options_.state_directory);
  if (auto use = uses.by_point.find(point); use != uses.by_point.end())
    throw Error(ErrorCode::busy, use->second);
  if (!uses.unreadable.empty()) throw Error(ErrorCode::busy, uses.unreadable.front());
}

void PointDeletion::hold(const catalog::TenantName& tenant, const catalog::Hold& hold) {
  boot::PointPins::Lease pin = pins_.pin(hold.point);
  catalog_.hold_point(tenant, hold);
}

void PointDeletion::remove(const catalog::TenantName& tenant, const images::PointId& point) {
  boot::PointPins::Lease claim = pins_.claim(point);
  require_deletable(tenant, point);
  if (options_.let_go) options_.let_go(point);
  auto writer = stores_.require_writable(tenant);
  auto owner = catalog_.find_owner(tenant, point);
  try {
    catalog_.intend_removal(tenant, point);  // so that it does not look lost if we die in between
    writer->delete_point(point);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_found || !owner) throw;
    base::log().warn("the point {} of {} was only in the catalog", point.hex(),
                     owner->machine_name);
  }
  catalog_.remove_point(tenant, point);
  if (!owner || !options_.forget_traces) return;
  auto machine = catalog_.find_machine(tenant, owner->machine_name);
  if (!machine || machine->point_count == 0)
    options_.forget_traces(writer->reader().id(), owner->machine);
}

}  // namespace appliance::points
