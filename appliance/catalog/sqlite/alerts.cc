#include "appliance/catalog/sqlite/alerts.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace appliance::catalog::sqlite {
namespace {

Alert require_alert(std::optional<Alert> alert, int64_t id) {
  if (alert) return *std::move(alert);
  throw base::Error(base::ErrorCode::not_found, fmt::format("there is no alert {}", id));
}

// Waits for next_steps(), in the transaction of the change itself.
void add_step(Database& database, int64_t tenant, std::string_view kind, std::string_view subject,
              std::string_view step) {
  database
      .prepare(
          "INSERT INTO alert_steps(alert, step) SELECT max(id), ?4 FROM alerts WHERE tenant = ?1 "
          "AND "
          "kind = ?2 AND subject = ?3")
      .bind(tenant, kind, subject, step)
      .run();
}

}  // namespace

Alert read_alert(Statement& row, int first) {
  Alert alert;
  alert.id = row.integer(first);
  alert.tenant = TenantName(row.text(first + 1));
  alert.kind = row.text(first + 2);
  alert.subject = row.text(first + 3);
  alert.message = row.text(first + 4);
  alert.opened_ms = row.natural(first + 5);
  if (!row.is_null(first + 6)) alert.closed_ms = row.natural(first + 6);
  if (!row.is_null(first + 7)) alert.acknowledged_ms = row.natural(first + 7);
  alert.acknowledged_by = row.text(first + 8);
  alert.acknowledged_note = row.text(first + 9);
  alert.last_ms = row.natural(first + 10);
  if (!row.is_null(first + 11)) {
    alert.silenced_until_ms = row.natural(first + 11);
    alert.silenced_by = row.text(first + 12);
    alert.silence_note = row.text(first + 13);
  }
  return alert;
}

bool SqliteAlertRecords::open_alert(const Alert& alert) {
  auto database = database_.lock();
  Transaction transaction(**database);
  int64_t tenant = tenant_id(**database, alert.tenant);
  uint64_t last_ms = std::max(alert.last_ms, alert.opened_ms);
  (*database)
      ->prepare(
          "UPDATE alerts SET message = ?4, last_ms = max(last_ms, ?5) WHERE tenant = ?1 AND kind = "
          "?2 AND subject = ?3 AND closed_ms IS NULL")
      .bind(tenant, alert.kind, alert.subject, alert.message, last_ms)
      .run();
  bool is_new = (*database)->changed_rows() == 0;
  if (is_new) {
    (*database)
        ->prepare(
            "INSERT INTO alerts(tenant, kind, subject, message, opened_ms, last_ms) VALUES (?, ?, "
            "?, ?, ?, ?)")
        .bind(tenant, alert.kind, alert.subject, alert.message, alert.opened_ms, last_ms)
        .run();
    add_step(**database, tenant, alert.kind, alert.subject, "opened");
  }
  transaction.commit();
  return is_new;
}

bool SqliteAlertRecords::close_alert(const TenantName& tenant, std::string_view kind,
                                     std::string_view subject, uint64_t now_ms) {
  auto database = database_.lock();
  Transaction transaction(**database);
  int64_t number = tenant_id(**database, tenant);
  (*database)
      ->prepare(
          "UPDATE alerts SET closed_ms = ?4 WHERE tenant = ?1 AND kind = ?2 AND subject = ?3 AND "
          "closed_ms IS NULL")
      .bind(number, kind, subject, now_ms)
      .run();
  bool was_open = (*database)->changed_rows() > 0;
  if (was_open) add_step(**database, number, kind, subject, "closed");
  transaction.commit();
  return was_open;
}

Alert SqliteAlertRecords::acknowledge_alert(int64_t id, const TenantScope& scope,
                                            const Remark& remark, uint64_t now_ms) {
  Alert alert = require_alert(find_alert(id, scope), id);
  if (alert.acknowledged_ms) return alert;
  (*database_.lock())
      ->prepare(
          "UPDATE alerts SET acknowledged_ms = ?2, acknowledged_by = ?3, acknowledged_note = ?4 "
          "WHERE id = ?1 AND acknowledged_ms IS NULL")
      .bind(id, now_ms, remark.by, remark.note)
      .run();
  return require_alert(find_alert(id, scope), id);
}

Alert SqliteAlertRecords::silence_alert(int64_t id, const TenantScope& scope, const Remark& remark,
                                        uint64_t until_ms) {
  Alert alert = require_alert(find_alert(id, scope), id);
  {
    auto database = database_.lock();
    (*database)
        ->upsert("silences", {"tenant", "kind", "subject"}, {"until_ms", "placed_by", "note"})
        .bind(tenant_id(**database, alert.tenant), alert.kind, alert.subject, until_ms, remark.by,
              remark.note)
        .run();
  }
  return require_alert(find_alert(id, scope), id);
}

std::optional<Alert> SqliteAlertRecords::find_alert(int64_t id, const TenantScope& scope) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      fmt::format("SELECT {} FROM {} WHERE a.id = ?", kAlertColumns, kAlertTables));
  statement.bind(id);
  if (!statement.step()) return std::nullopt;
  Alert alert = read_alert(statement);
  return scope.sees(alert.tenant) ? std::optional(std::move(alert)) : std::nullopt;
}

std::vector<Alert> SqliteAlertRecords::alerts(const TenantScope& scope, bool closed_too,
                                              uint32_t limit) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      fmt::format("SELECT {} FROM {} WHERE (?1 IS NULL OR t.name = ?1) AND (?2 OR a.closed_ms IS "
                  "NULL) ORDER BY a.id DESC LIMIT ?3",
                  kAlertColumns, kAlertTables));
  statement.bind(tenant_filter(**database, scope), closed_too ? 1 : 0, limit);
  std::vector<Alert> alerts;
  while (statement.step()) alerts.push_back(read_alert(statement));
  return alerts;
}

}  // namespace appliance::catalog::sqlite
