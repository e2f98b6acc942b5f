// What is known of points besides their data: holds, and the result of a check of the store.
#include "appliance/catalog/sqlite/points.h"

#include <fmt/format.h>

#include "base/error.h"

namespace appliance::catalog::sqlite {

void SqlitePointRecords::hold_point(const TenantName& tenant, const Hold& hold) {
  auto database = database_.lock();
  int64_t tenant_number = tenant_id(**database, tenant);
  Statement known = (*database)->prepare("SELECT 1 FROM points WHERE tenant = ? AND id = ?");
  if (!known.bind(tenant_number, hold.point.hex()).step()) {
    throw base::Error(base::ErrorCode::not_found,
                      fmt::format("there is no point {}", hold.point.hex()));
  }
  (*database)
      ->upsert("holds", {"tenant", "point"}, {"reason", "placed_ms", "until_ms"})
      .bind(tenant_number, hold.point.hex(), hold.reason, hold.placed_ms, hold.until_ms)
      .run();
}

bool SqlitePointRecords::release_point(const TenantName& tenant, const images::PointId& point) {
  auto database = database_.lock();
  (*database)
      ->prepare("DELETE FROM holds WHERE tenant = ? AND point = ?")
      .bind(tenant_id(**database, tenant), point.hex())
      .run();
  return (*database)->changed_rows() > 0;
}

std::map<images::PointId, Hold> SqlitePointRecords::holds(const TenantName& tenant,
                                                          uint64_t now_ms) {
  auto database = database_.lock();
  Statement statement =
      (*database)->prepare("SELECT point, reason, placed_ms, until_ms FROM holds WHERE tenant = ?");
  statement.bind(tenant_id(**database, tenant));
  std::map<images::PointId, Hold> found;
  while (statement.step()) {
    Hold hold;
    hold.point = images::PointId::from_hex(statement.text(0));
    hold.reason = statement.text(1);
    hold.placed_ms = statement.natural(2);
    if (!statement.is_null(3)) hold.until_ms = statement.natural(3);
    if (!hold.is_over(now_ms)) found.emplace(hold.point, std::move(hold));
  }
  return found;
}

void SqlitePointRecords::save_store_check(const TenantName& tenant, const StoreCheck& check,
                                          const std::vector<images::PointId>& damaged) {
  auto database = database_.lock();
  Transaction transaction(**database);
  int64_t tenant_number = tenant_id(**database, tenant);
  (*database)->prepare("DELETE FROM damaged_points WHERE tenant = ?").bind(tenant_number).run();
  for (const images::PointId& point : damaged) {
    (*database)
        ->insert_if_absent("damaged_points", {"tenant", "point"}, {"found_ms"})
        .bind(tenant_number, point.hex(), check.checked_ms)
        .run();
  }
  (*database)
      ->upsert("store_checks", {"tenant"}, {"checked_ms", "deep", "problem_count", "first_problem"})
      .bind(tenant_number, check.checked_ms, check.deep, check.problem_count, check.first_problem)
      .run();
  transaction.commit();
}

std::optional<StoreCheck> SqlitePointRecords::last_store_check(const TenantName& tenant) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      "SELECT checked_ms, deep, problem_count, first_problem FROM store_checks WHERE tenant = ?");
  statement.bind(tenant_id(**database, tenant));
  if (!statement.step()) return std::nullopt;
  return StoreCheck{statement.natural(0), statement.integer(1) != 0, statement.natural(2),
                    statement.text(3)};
}

std::map<images::PointId, uint64_t> SqlitePointRecords::damaged_points(const TenantName& tenant) {
  auto database = database_.lock();
  Statement statement =
      (*database)->prepare("SELECT point, found_ms FROM damaged_points WHERE tenant = ?");
  statement.bind(tenant_id(**database, tenant));
  std::map<images::PointId, uint64_t> found;
  while (statement.step())
    found[images::PointId::from_hex(statement.text(0))] = statement.natural(1);
  return found;
}

}  // namespace appliance::catalog::sqlite
