// Keeps what the appliance knows about a point beside the point, in its store (images/point_marks.h):
// the newest test boot's verdict, and the hold. The catalog stays what decides here; the marks are for
// whoever has only the store: another appliance that adopts it or gets a copy, or a person on the day
// when this appliance is gone.
//
// A point that another appliance tested, and this one not, keeps the other's verdict in its marks. It
// is shown as the other's and counts for nothing here. Thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "appliance/access/node_id.h"
#include "appliance/catalog/catalog.h"
#include "appliance/stores/tenant_stores.h"
#include "images/point_marks.h"

namespace appliance::points {

class PointMarking {
 public:
  // Both must outlive it. `node` and `name` say which appliance tested a point.
  PointMarking(catalog::Catalog& catalog, stores::TenantStores& stores, access::NodeId node,
               std::string name)
      : catalog_(catalog), stores_(stores), node_(node), name_(std::move(name)) {}

  // Writes the point's marks if they differ from what the catalog knows. A failure is logged, and
  // made good by publish_all(): the store may be away, or only be read.
  void publish(const catalog::TenantName& tenant, const images::PointId& point) noexcept;
  // The same for all points of the tenant; returns how many were written. Throws what reading the
  // catalog or opening the store throws; a point that cannot be written is logged.
  uint64_t publish_all(const catalog::TenantName& tenant);

  struct Found {
    uint64_t holds = 0;             // that were placed
    uint64_t tested_elsewhere = 0;  // points with another appliance's verdict
    uint64_t unreadable = 0;        // points whose marks cannot be read
  };
  // Places the holds that a store brings along, after it was adopted. Points that are held already
  // stay as they are.
  Found take_over(const catalog::TenantName& tenant);

  // The verdict of another appliance; none if this one has tested the point, or nobody has. Marks
  // that cannot be read are logged and count as none.
  std::optional<images::BootMark> tested_elsewhere(images::StoreReader& reader,
                                                   const images::PointId& point) noexcept;

 private:
  std::optional<images::BootMark> own_verdict(
      const std::vector<catalog::Verification>& newest_first, const images::PointId& point) const;
  bool write(images::StoreWriter& writer, const images::PointId& point,
             const std::optional<images::BootMark>& own, const catalog::Hold* hold);

  catalog::Catalog& catalog_;
  stores::TenantStores& stores_;
  const access::NodeId node_;
  const std::string name_;
};

}  // namespace appliance::points
