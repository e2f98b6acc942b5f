// Alerts in SQLite. Contract: alert_records.h.
#pragma once

#include "appliance/catalog/alert_records.h"
#include "appliance/catalog/sqlite/database.h"

namespace appliance::catalog::sqlite {

// For whoever reads alerts in another statement: the columns of read_alert(), and their tables.
inline constexpr std::string_view kAlertColumns =
    "a.id, t.name, a.kind, a.subject, a.message, a.opened_ms, a.closed_ms, a.acknowledged_ms, "
    "a.acknowledged_by, a.acknowledged_note, a.last_ms, s.until_ms, s.placed_by, s.note";
inline constexpr std::string_view kAlertTables =
    "alerts a JOIN tenants t ON t.id = a.tenant LEFT JOIN silences s ON s.tenant = a.tenant AND "
    "s.kind = a.kind AND s.subject = a.subject";
Alert read_alert(Statement& row, int first = 0);

class SqliteAlertRecords : public virtual AlertRecords {
 public:
  // `database` outlives it.
  explicit SqliteAlertRecords(Connection& database) : database_(database) {}

  bool open_alert(const Alert& alert) override;
  bool close_alert(const TenantName& tenant, std::string_view kind, std::string_view subject,
                   uint64_t now_ms) override;
  Alert acknowledge_alert(int64_t id, const TenantScope& scope, const Remark& remark,
                          uint64_t now_ms) override;
  Alert silence_alert(int64_t id, const TenantScope& scope, const Remark& remark,
                      uint64_t until_ms) override;
  std::optional<Alert> find_alert(int64_t id, const TenantScope& scope) override;
  std::vector<Alert> alerts(const TenantScope& scope, bool closed_too, uint32_t limit) override;

 private:
  Connection& database_;
};

}  // namespace appliance::catalog::sqlite
