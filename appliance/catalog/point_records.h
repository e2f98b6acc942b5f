// Points as the stores list them, and what is known of each besides its data: damage, holds, loss.
// Points are derived data: set_points() rebuilds them from what a store contains. Errors and
// durability: catalog.h.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/catalog/records.h"

namespace appliance::catalog {

// Someone wants the point kept, whatever a policy says.
struct Hold {
  images::PointId point;
  std::string reason;  // may be empty
  uint64_t placed_ms = 0;
  std::optional<uint64_t> until_ms;  // none: until it is released

  bool is_over(uint64_t now_ms) const { return until_ms && *until_ms <= now_ms; }
};

// The owner of a point.
struct PointOwner {
  images::MachineId machine;
  std::string machine_name;
};

class PointRecords {
 public:
  virtual ~PointRecords() = default;

  // Makes the tenant's points exactly these; new machines get a row without a host. Only for what
  // the tenant's own store lists: see appliance/stores.
  virtual void set_points(const TenantName& tenant, const std::vector<images::PointSummary>& points,
                          LostPoints lost = LostPoints::keep_in_mind) = 0;
  // Also records the gap that it ends (protection_records.h).
  virtual void add_point(const TenantName& tenant, const images::PointSummary& point) = 0;
  // Including its damage and its hold.
  virtual void remove_point(const TenantName& tenant, const images::PointId& id) = 0;
  // Oldest first within a machine, machines by name; of one machine, or of all if it is empty.
  virtual std::vector<PointRow> points(const TenantName& tenant, std::string_view machine_name) = 0;
  virtual std::optional<PointOwner> find_owner(const TenantName& tenant,
                                               const images::PointId& id) = 0;
  // Oldest first within a machine, machines by name.
  virtual std::vector<MissingPoint> missing_points(const TenantName& tenant) = 0;
  // The point is about to be deleted from its store: if the daemon dies in between, it does not
  // count as missing.
  virtual void intend_removal(const TenantName& tenant, const images::PointId& id) = 0;

  // The result of a check of the store: exactly these points are damaged, until the next one.
  // Points that are not listed (a manifest that cannot be read) are recorded too.
  virtual void save_store_check(const TenantName& tenant, const StoreCheck& check,
                                const std::vector<images::PointId>& damaged) = 0;
  virtual std::optional<StoreCheck> last_store_check(const TenantName& tenant) = 0;
  // With the time of the check.
  virtual std::map<images::PointId, uint64_t> damaged_points(const TenantName& tenant) = 0;

  // A later hold replaces an earlier one. Throws not_found for an unknown point.
  virtual void hold_point(const TenantName& tenant, const Hold& hold) = 0;
  // Returns whether it was held.
  virtual bool release_point(const TenantName& tenant, const images::PointId& point) = 0;
  // Those that have not ended.
  virtual std::map<images::PointId, Hold> holds(const TenantName& tenant, uint64_t now_ms) = 0;
};

}  // namespace appliance::catalog
