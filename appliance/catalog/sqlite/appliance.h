// Facts about the appliance in SQLite. Contract: appliance_records.h.
#pragma once

#include "appliance/catalog/appliance_records.h"
#include "appliance/catalog/sqlite/database.h"

namespace appliance::catalog::sqlite {

class SqliteApplianceRecords : public virtual ApplianceRecords {
 public:
  // `database` outlives it.
  explicit SqliteApplianceRecords(Connection& database) : database_(database) {}

  std::optional<std::string> find_fact(std::string_view name) override;
  void save_fact(std::string_view name, std::string_view value) override;
  void save_clock_mark(const ClockMark& mark) override;
  std::optional<ClockMark> find_clock_mark() override;

 private:
  Connection& database_;
};

}  // namespace appliance::catalog::sqlite
