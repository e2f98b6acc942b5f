// Points, their damage and their holds in SQLite. Contract: point_records.h.
#pragma once

#include "appliance/catalog/point_records.h"
#include "appliance/catalog/sqlite/database.h"

namespace appliance::catalog::sqlite {

class SqlitePointRecords : public virtual PointRecords {
 public:
  // `database` outlives it.
  explicit SqlitePointRecords(Connection& database) : database_(database) {}

  void set_points(const TenantName& tenant, const std::vector<images::PointSummary>& points,
                  LostPoints lost) override;
  void add_point(const TenantName& tenant, const images::PointSummary& point) override;
  void remove_point(const TenantName& tenant, const images::PointId& id) override;
  std::vector<PointRow> points(const TenantName& tenant, std::string_view machine_name) override;
  std::optional<PointOwner> find_owner(const TenantName& tenant,
                                       const images::PointId& id) override;
  std::vector<MissingPoint> missing_points(const TenantName& tenant) override;
  void intend_removal(const TenantName& tenant, const images::PointId& id) override;
  void save_store_check(const TenantName& tenant, const StoreCheck& check,
                        const std::vector<images::PointId>& damaged) override;
  std::optional<StoreCheck> last_store_check(const TenantName& tenant) override;
  std::map<images::PointId, uint64_t> damaged_points(const TenantName& tenant) override;
  void hold_point(const TenantName& tenant, const Hold& hold) override;
  bool release_point(const TenantName& tenant, const images::PointId& point) override;
  std::map<images::PointId, Hold> holds(const TenantName& tenant, uint64_t now_ms) override;

 private:
  Connection& database_;
};

}  // namespace appliance::catalog::sqlite
