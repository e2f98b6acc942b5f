#include "appliance/catalog/sqlite/audit.h"

#include <algorithm>

namespace appliance::catalog::sqlite {
namespace {

// A hash of another size was written by somebody else; it becomes one that fits nothing.
AuditRow read_row(Statement& statement) {
  AuditRow row;
  row.sequence = statement.natural(0);
  row.body = statement.text(1);
  base::Bytes hash = statement.blob(2);
  if (hash.size() == row.hash.size()) std::copy(hash.begin(), hash.end(), row.hash.begin());
  return row;
}

}  // namespace

void SqliteAuditRecords::append_audit(const AuditRow& row) {
  (*database_.lock())
      ->prepare("INSERT INTO audit(sequence, body, hash) VALUES (?, ?, ?)")
      .bind(row.sequence, row.body, base::ByteView(row.hash))
      .run();
}

std::optional<AuditRow> SqliteAuditRecords::last_audit() {
  auto database = database_.lock();
  Statement statement =
      (*database)->prepare("SELECT sequence, body, hash FROM audit ORDER BY sequence DESC LIMIT 1");
  if (!statement.step()) return std::nullopt;
  return read_row(statement);
}

std::vector<AuditRow> SqliteAuditRecords::audit(uint64_t first, uint32_t limit) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      "SELECT sequence, body, hash FROM audit WHERE sequence >= ? ORDER BY sequence LIMIT ?");
  statement.bind(first, limit);
  std::vector<AuditRow> rows;
  while (statement.step()) rows.push_back(read_row(statement));
  return rows;
}

}  // namespace appliance::catalog::sqlite
