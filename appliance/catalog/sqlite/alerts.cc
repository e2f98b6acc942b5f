#include "appliance/catalog/sqlite/alerts.h"

#include <fmt/format.h>

#include "base/error.h"

namespace appliance::catalog::sqlite {
namespace {

constexpr std::string_view kSelect =
    "SELECT a.id, t.name, a.kind, a.subject, a.message, a.opened_ms, a.closed_ms, "
    "a.acknowledged_ms FROM alerts a JOIN tenants t ON t.id = a.tenant ";

Alert read_alert(Statement& row) {
  Alert alert;
  alert.id = row.integer(0);
  alert.tenant = TenantName(row.text(1));
  alert.kind = row.text(2);
  alert.subject = row.text(3);
  alert.message = row.text(4);
  alert.opened_ms = row.natural(5);
  if (!row.is_null(6)) alert.closed_ms = row.natural(6);
  if (!row.is_null(7)) alert.acknowledged_ms = row.natural(7);
  return alert;
}

}  // namespace

bool SqliteAlertRecords::open_alert(const Alert& alert) {
  auto database = database_.lock();
  int64_t tenant = tenant_id(**database, alert.tenant);
  (*database)
      ->prepare(
          "UPDATE alerts SET message = ?4 WHERE tenant = ?1 AND kind = ?2 AND subject = ?3 AND "
          "closed_ms IS NULL")
      .bind(tenant, alert.kind, alert.subject, alert.message)
      .run();
  if ((*database)->changed_rows() > 0) return false;
  (*database)
      ->prepare(
          "INSERT INTO alerts(tenant, kind, subject, message, opened_ms) VALUES (?, ?, ?, ?, ?)")
      .bind(tenant, alert.kind, alert.subject, alert.message, alert.opened_ms)
      .run();
  return true;
}

bool SqliteAlertRecords::close_alert(const TenantName& tenant, std::string_view kind,
                                     std::string_view subject, uint64_t now_ms) {
  auto database = database_.lock();
  (*database)
      ->prepare(
          "UPDATE alerts SET closed_ms = ?4 WHERE tenant = ?1 AND kind = ?2 AND subject = ?3 AND "
          "closed_ms IS NULL")
      .bind(tenant_id(**database, tenant), kind, subject, now_ms)
      .run();
  return (*database)->changed_rows() > 0;
}

Alert SqliteAlertRecords::acknowledge_alert(int64_t id, const TenantScope& scope, uint64_t now_ms) {
  std::optional<Alert> alert = find_alert(id, scope);
  if (!alert)
    throw base::Error(base::ErrorCode::not_found, fmt::format("there is no alert {}", id));
  if (!alert->acknowledged_ms) {
    (*database_.lock())
        ->prepare("UPDATE alerts SET acknowledged_ms = coalesce(acknowledged_ms, ?) WHERE id = ?")
        .bind(now_ms, id)
        .run();
    alert->acknowledged_ms = now_ms;
  }
  return *alert;
}

std::optional<Alert> SqliteAlertRecords::find_alert(int64_t id, const TenantScope& scope) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(fmt::format("{} WHERE a.id = ?", kSelect));
  statement.bind(id);
  if (!statement.step()) return std::nullopt;
  Alert alert = read_alert(statement);
  return scope.sees(alert.tenant) ? std::optional(std::move(alert)) : std::nullopt;
}

std::vector<Alert> SqliteAlertRecords::alerts(const TenantScope& scope, bool closed_too,
                                              uint32_t limit) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      fmt::format("{} WHERE (?1 IS NULL OR t.name = ?1) AND (?2 OR a.closed_ms IS NULL) "
                  "ORDER BY a.id DESC LIMIT ?3",
                  kSelect));
  statement.bind(tenant_filter(**database, scope), closed_too ? 1 : 0, limit);
  std::vector<Alert> alerts;
  while (statement.step()) alerts.push_back(read_alert(statement));
  return alerts;
}

}  // namespace appliance::catalog::sqlite
