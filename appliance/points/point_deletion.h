// The only way in which the appliance deletes a point, whoever requests it: an operator, the
// policy, or forgetting a machine.
//
// A point that its tenant's lock keeps, that is held, or that a boot needs, is not deleted. The check and the deletion are one
// step relative to a start of a boot of the same point (boot/point_pins.h). Thread-safe.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "appliance/boot/point_pins.h"
#include "appliance/catalog/catalog.h"
#include "appliance/points/tenant_locks.h"
#include "appliance/stores/tenant_stores.h"
#include "images/ids.h"

namespace appliance::points {

class PointDeletion {
 public:
  using ForgetTraces = std::function<void(const images::StoreId&, const images::MachineId&)>;

  struct Options {
    std::string state_directory;  // folder with the records of boots
    ForgetTraces forget_traces;   // called when a machine's last point is deleted; may be empty
    // Called before a point is deleted: ends what looks at it and is idle. May be empty.
    std::function<void(const images::PointId&)> let_go{};
    TenantLocks* locks = nullptr;  // outlives it; null only in tests
  };

  // All must outlive it. `pins` are those of every boot service of this state folder.
  PointDeletion(catalog::Catalog& catalog, stores::TenantStores& stores, boot::PointPins& pins,
                Options options);

  // Throws busy, with what keeps the point, or that this cannot be determined.
  void require_deletable(const catalog::TenantName& tenant, const images::PointId& point);

  // Like Catalog::hold_point(), and throws busy while the point is being deleted.
  void hold(const catalog::TenantName& tenant, const catalog::Hold& hold);

  // When it returns the point is deleted from store and catalog, including any hold. A point that
  // only the catalog knew is removed there. Throws as require_deletable(); busy while a boot of it
  // starts, a reader has it open or a sync is relative to it; and what opening or writing the store
  // throws.
  void remove(const catalog::TenantName& tenant, const images::PointId& point);

  TenantLocks* locks() { return options_.locks; }

 private:
  catalog::Catalog& catalog_;
  stores::TenantStores& stores_;
  boot::PointPins& pins_;
  const Options options_;
};

}  // namespace appliance::points
