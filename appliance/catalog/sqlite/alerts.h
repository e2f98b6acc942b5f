// Alerts in SQLite. Contract: alert_records.h.
#pragma once

#include "appliance/catalog/alert_records.h"
#include "appliance/catalog/sqlite/database.h"

namespace appliance::catalog::sqlite {

class SqliteAlertRecords : public virtual AlertRecords {
 public:
  // `database` outlives it.
  explicit SqliteAlertRecords(Connection& database) : database_(database) {}

  bool open_alert(const Alert& alert) override;
  bool close_alert(const TenantName& tenant, std::string_view kind, std::string_view subject,
                   uint64_t now_ms) override;
  Alert acknowledge_alert(int64_t id, const TenantScope& scope, uint64_t now_ms) override;
  std::optional<Alert> find_alert(int64_t id, const TenantScope& scope) override;
  std::vector<Alert> alerts(const TenantScope& scope, bool closed_too, uint32_t limit) override;

 private:
  Connection& database_;
};

}  // namespace appliance::catalog::sqlite
