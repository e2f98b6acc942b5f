// The one way in which the appliance deletes a point, whoever wants it gone: an operator, the
// policy, the forgetting of a machine.
//
// A point that is held, or that a boot needs, is not deleted. The question and the deletion are one
// step against a start of a boot of the same point (boot/point_pins.h). Thread-safe.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "appliance/boot/point_pins.h"
#include "appliance/catalog/catalog.h"
#include "appliance/stores/tenant_stores.h"
#include "images/ids.h"

namespace appliance::points {

class PointDeletion {
 public:
  using ForgetTraces = std::function<void(const images::StoreId&, const images::MachineId&)>;

  struct Options {
    std::string state_directory;  // where the records of boots are
    ForgetTraces forget_traces;   // called when a machine's last point is gone; may be empty
  };

  // All outlive it. `pins` are those of every boot service of this state folder.
  PointDeletion(catalog::Catalog& catalog, stores::TenantStores& stores, boot::PointPins& pins,
                Options options);

  // Throws busy, with who holds or needs the point, or that this cannot be known.
  void expect_deletable(const std::string& tenant, const images::PointId& point);

  // As Catalog::hold_point(), and busy while the point is being deleted.
  void hold(const std::string& tenant, const catalog::Hold& hold);

  // The point is gone from store and catalog when it returns; a hold on it, too. One that only the
  // catalog knew is gone from there. Throws as expect_deletable(); busy while a boot of it starts,
  // a reader has it open or a sync is relative to it; and what opening or writing the store throws.
  void remove(const std::string& tenant, const images::PointId& point);

 private:
  catalog::Catalog& catalog_;
  stores::TenantStores& stores_;
  boot::PointPins& pins_;
  const Options options_;
};

}  // namespace appliance::points
