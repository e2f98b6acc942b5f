// What the keeping of points goes by: holds, the verdicts of test boots, the rules in force.
#include <fmt/format.h>

#include "appliance/catalog/catalog.h"
#include "appliance/catalog/retention_records.h"
#include "appliance/catalog/sqlite.h"
#include "base/error.h"

namespace appliance::catalog {

void Catalog::hold_point(std::string_view tenant, const Hold& hold) {
  auto database = database_.lock();
  int64_t tenant_number = tenant_id(**database, tenant);
  Statement known = (*database)->prepare("SELECT 1 FROM points WHERE tenant = ? AND id = ?");
  if (!known.bind(tenant_number, hold.point.hex()).step()) {
    throw base::Error(base::ErrorCode::not_found,
                      fmt::format("there is no point {}", hold.point.hex()));
  }
  (*database)
      ->prepare(
          "INSERT OR REPLACE INTO holds(tenant, point, reason, placed_ms, until_ms) "
          "VALUES (?, ?, ?, ?, ?)")
      .bind(tenant_number, hold.point.hex(), hold.reason, hold.placed_ms, hold.until_ms)
      .run();
}

bool Catalog::release_point(std::string_view tenant, const images::PointId& point) {
  auto database = database_.lock();
  (*database)
      ->prepare("DELETE FROM holds WHERE tenant = ? AND point = ?")
      .bind(tenant_id(**database, tenant), point.hex())
      .run();
  return (*database)->changed_rows() > 0;
}

std::map<images::PointId, Hold> Catalog::holds(std::string_view tenant, uint64_t now_ms) {
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

std::map<images::PointId, std::string> Catalog::test_verdicts(std::string_view tenant,
                                                              std::string_view machine_name) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      "SELECT point, verdict FROM verifications WHERE tenant = ? AND machine = ? AND settled != 0 "
      "AND verdict IN ('pass', 'fail') ORDER BY id");
  statement.bind(tenant_id(**database, tenant), machine_name);
  std::map<images::PointId, std::string> verdicts;
  while (statement.step())
    verdicts[images::PointId::from_hex(statement.text(0))] = statement.text(1);
  return verdicts;
}

RetentionMark Catalog::retention_mark(std::string_view tenant, std::string_view machine_name) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      "SELECT applied, wanted, wanted_since_ms FROM retention_marks WHERE tenant = ? AND machine = "
      "?");
  statement.bind(tenant_id(**database, tenant), machine_name);
  if (!statement.step()) return {};
  return {statement.text(0), statement.text(1), statement.natural(2)};
}

void Catalog::save_retention_mark(std::string_view tenant, std::string_view machine_name,
                                  const RetentionMark& mark) {
  auto database = database_.lock();
  (*database)
      ->prepare(
          "INSERT OR REPLACE INTO retention_marks(tenant, machine, applied, wanted, "
          "wanted_since_ms) VALUES (?, ?, ?, ?, ?)")
      .bind(tenant_id(**database, tenant), machine_name, mark.applied, mark.wanted,
            mark.wanted_since_ms)
      .run();
}

std::optional<PointOwner> Catalog::find_owner(std::string_view tenant, const images::PointId& id) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      "SELECT p.machine, m.name FROM points p JOIN machines m ON m.tenant = p.tenant AND m.id = "
      "p.machine WHERE p.tenant = ? AND p.id = ?");
  statement.bind(tenant_id(**database, tenant), id.hex());
  if (!statement.step()) return std::nullopt;
  return PointOwner{images::MachineId::from_hex(statement.text(0)), statement.text(1)};
}

}  // namespace appliance::catalog
