// The audit log's rows in SQLite. Contract: audit_records.h.
#pragma once

#include "appliance/catalog/audit_records.h"
#include "appliance/catalog/sqlite/database.h"

namespace appliance::catalog::sqlite {

class SqliteAuditRecords : public virtual AuditRecords {
 public:
  // `database` outlives it.
  explicit SqliteAuditRecords(Connection& database) : database_(database) {}

  void append_audit(const AuditRow& row) override;
  std::optional<AuditRow> last_audit() override;
  std::vector<AuditRow> audit(uint64_t first, uint32_t limit) override;

 private:
  Connection& database_;
};

}  // namespace appliance::catalog::sqlite
