// Failbacks in SQLite. Contract: failback_records.h.
#pragma once

#include "appliance/catalog/failback_records.h"
#include "appliance/catalog/sqlite/database.h"

namespace appliance::catalog::sqlite {

class SqliteFailbackRecords : public virtual FailbackRecords {
 public:
  // `database` outlives it.
  explicit SqliteFailbackRecords(Connection& database) : database_(database) {}

  int64_t add_failback(const Failback& failback) override;
  void save_failback(const Failback& failback) override;
  std::optional<Failback> find_failback(int64_t id, const TenantScope& scope) override;
  std::vector<Failback> failbacks(const TenantScope& scope, bool over_too, uint32_t limit) override;

 private:
  Connection& database_;
};

}  // namespace appliance::catalog::sqlite
