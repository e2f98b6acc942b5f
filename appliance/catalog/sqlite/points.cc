#include "appliance/catalog/sqlite/points.h"

#include <fmt/format.h>

#include <set>

#include "base/text.h"

namespace appliance::catalog::sqlite {
namespace {

std::optional<std::string> hex_of(const std::optional<images::PointId>& id) {
  return id ? std::optional(id->hex()) : std::nullopt;
}

images::PointLineage lineage_of(const Statement& row, int parent, int origin_store,
                                int origin_point) {
  images::PointLineage lineage;
  if (!row.is_null(parent)) lineage.parent = images::PointId::from_hex(row.text(parent));
  if (!row.is_null(origin_store)) {
    lineage.origin = {images::StoreId::from_hex(row.text(origin_store)),
                      images::PointId::from_hex(row.text(origin_point))};
  }
  return lineage;
}

void insert_point(Database& database, int64_t tenant, const images::PointSummary& point,
                  uint64_t now_ms) {
  const std::optional<images::PointOrigin>& origin = point.lineage.origin;
  database.insert_if_absent("machines", {"tenant", "id"}, {"name", "created_ms"})
      .bind(tenant, point.machine.hex(), point.machine_name, now_ms)
      .run();
  database
      .upsert("points", {"tenant", "id"},
              {"machine", "time_ms", "size", "consistency", "host_time_ms", "timeline_order",
               "dated_by_host", "host_clock_wrong", "parent", "origin_store", "origin_point"})
      .bind(tenant, point.id.hex(), point.machine.hex(), point.time_ms, point.size,
            images::consistency_name(point.consistency), point.dates.host_time_ms,
            point.dates.order, point.dates.dated_by_host ? 1 : 0,
            point.dates.host_clock_wrong ? 1 : 0, hex_of(point.lineage.parent),
            origin ? std::optional(origin->store.hex()) : std::nullopt,
            origin ? std::optional(origin->point.hex()) : std::nullopt)
      .run();
}

// Records how long the machine was without a newer point until this one arrived. Nothing if the
// clock was set back in between: then it is unknown.
void remember_gap(Database& database, int64_t tenant, const images::PointSummary& point) {
  database
      .prepare(
          "INSERT INTO recovery_gaps(tenant, machine, time_ms, gap_ms) "
          "SELECT ?1, ?2, ?3, ?3 - time_ms FROM (SELECT time_ms FROM points WHERE tenant = ?1 AND "
          "machine = ?4 AND timeline_order < ?5 ORDER BY timeline_order DESC LIMIT 1) "
          "WHERE time_ms < ?3 ON CONFLICT DO NOTHING")
      .bind(tenant, point.machine_name, point.time_ms, point.machine.hex(), point.dates.order)
      .run();
}

constexpr std::string_view kKnownPoints =
    "SELECT id FROM points WHERE tenant = ?1 AND id NOT IN "
    "(SELECT point FROM removals WHERE tenant = ?1)";
constexpr std::string_view kMissingPoints = "SELECT point FROM missing_points WHERE tenant = ?";

std::vector<std::string> select_ids(Database& database, int64_t tenant, std::string_view query) {
  Statement statement = database.prepare(query);
  statement.bind(tenant);
  std::vector<std::string> ids;
  while (statement.step()) ids.push_back(statement.text(0));
  return ids;
}

// Before the points are replaced by `points`: points that are lost by that, and not by a deletion
// of ours, are recorded as missing.
void settle_missing(Database& database, int64_t tenant,
                    const std::vector<images::PointSummary>& points, LostPoints lost,
                    uint64_t now_ms) {
  if (lost == LostPoints::forget) {
    database.prepare("DELETE FROM missing_points WHERE tenant = ?").bind(tenant).run();
  } else {
    std::set<std::string> found;
    for (const images::PointSummary& point : points) found.insert(point.id.hex());
    for (const std::string& point : select_ids(database, tenant, kKnownPoints)) {
      if (found.contains(point)) continue;
      database
          .prepare(
              "INSERT INTO missing_points(tenant, point, machine_name, time_ms, size, "
              "consistency, noticed_ms) SELECT p.tenant, p.id, m.name, p.time_ms, p.size, "
              "p.consistency, ?3 FROM points p JOIN machines m ON m.tenant = p.tenant AND "
              "m.id = p.machine WHERE p.tenant = ?1 AND p.id = ?2 ON CONFLICT DO NOTHING")
          .bind(tenant, point, now_ms)
          .run();
    }
    for (const std::string& point : select_ids(database, tenant, kMissingPoints)) {
      if (!found.contains(point)) continue;
      database.prepare("DELETE FROM missing_points WHERE tenant = ? AND point = ?")
          .bind(tenant, point)
          .run();
    }
  }
  database.prepare("DELETE FROM removals WHERE tenant = ?").bind(tenant).run();
}

}  // namespace

void SqlitePointRecords::set_points(const TenantName& tenant,
                                    const std::vector<images::PointSummary>& points,
                                    LostPoints lost) {
  auto database = database_.lock();
  Transaction transaction(**database);
  int64_t tenant_number = tenant_id(**database, tenant);
  uint64_t now = base::now_ms();
  settle_missing(**database, tenant_number, points, lost, now);
  (*database)->prepare("DELETE FROM points WHERE tenant = ?").bind(tenant_number).run();
  for (const images::PointSummary& point : points)
    insert_point(**database, tenant_number, point, now);
  transaction.commit();
}

void SqlitePointRecords::add_point(const TenantName& tenant, const images::PointSummary& point) {
  auto database = database_.lock();
  Transaction transaction(**database);
  int64_t tenant_number = tenant_id(**database, tenant);
  remember_gap(**database, tenant_number, point);
  insert_point(**database, tenant_number, point, base::now_ms());
  transaction.commit();
}

void SqlitePointRecords::remove_point(const TenantName& tenant, const images::PointId& id) {
  auto database = database_.lock();
  Transaction transaction(**database);
  int64_t tenant_number = tenant_id(**database, tenant);
  for (const char* statement : {"DELETE FROM points WHERE tenant = ? AND id = ?",
                                "DELETE FROM damaged_points WHERE tenant = ? AND point = ?",
                                "DELETE FROM missing_points WHERE tenant = ? AND point = ?",
                                "DELETE FROM removals WHERE tenant = ? AND point = ?",
                                "DELETE FROM holds WHERE tenant = ? AND point = ?"}) {
    (*database)->prepare(statement).bind(tenant_number, id.hex()).run();
  }
  transaction.commit();
}

std::vector<PointRow> SqlitePointRecords::points(const TenantName& tenant,
                                                 std::string_view machine_name) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      "SELECT p.id, p.machine, m.name, p.time_ms, p.size, p.consistency, d.found_ms, "
      "p.host_time_ms, p.timeline_order, p.dated_by_host, p.host_clock_wrong, "
      "p.parent, p.origin_store, p.origin_point "
      "FROM points p JOIN machines m ON m.tenant = p.tenant AND m.id = p.machine "
      "LEFT JOIN damaged_points d ON d.tenant = p.tenant AND d.point = p.id "
      "WHERE p.tenant = ?1 AND (?2 = '' OR m.name = ?2) ORDER BY m.name, p.timeline_order, p.id");
  statement.bind(tenant_id(**database, tenant), machine_name);
  std::vector<PointRow> rows;
  while (statement.step()) {
    PointRow row;
    row.tenant = tenant;
    row.summary.id = images::PointId::from_hex(statement.text(0));
    row.summary.machine = images::MachineId::from_hex(statement.text(1));
    row.summary.machine_name = statement.text(2);
    row.summary.time_ms = statement.natural(3);
    row.summary.size = statement.natural(4);
    row.summary.consistency = images::consistency_from_name(statement.text(5));
    if (!statement.is_null(6)) row.damage_found_ms = statement.natural(6);
    row.summary.dates = {statement.natural(7), statement.natural(8), statement.integer(9) != 0,
                         statement.integer(10) != 0};
    row.summary.lineage = lineage_of(statement, 11, 12, 13);
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<MissingPoint> SqlitePointRecords::missing_points(const TenantName& tenant) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      "SELECT point, machine_name, time_ms, size, consistency, noticed_ms FROM missing_points "
      "WHERE tenant = ? ORDER BY machine_name, time_ms, point");
  statement.bind(tenant_id(**database, tenant));
  std::vector<MissingPoint> points;
  while (statement.step()) {
    points.push_back({images::PointId::from_hex(statement.text(0)), statement.text(1),
                      statement.natural(2), statement.natural(3),
                      images::consistency_from_name(statement.text(4)), statement.natural(5)});
  }
  return points;
}

void SqlitePointRecords::intend_removal(const TenantName& tenant, const images::PointId& id) {
  auto database = database_.lock();
  (*database)
      ->insert_if_absent("removals", {"tenant", "point"}, {})
      .bind(tenant_id(**database, tenant), id.hex())
      .run();
}

std::optional<PointOwner> SqlitePointRecords::find_owner(const TenantName& tenant,
                                                         const images::PointId& id) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      "SELECT p.machine, m.name FROM points p JOIN machines m ON m.tenant = p.tenant AND m.id = "
      "p.machine WHERE p.tenant = ? AND p.id = ?");
  statement.bind(tenant_id(**database, tenant), id.hex());
  if (!statement.step()) return std::nullopt;
  return PointOwner{images::MachineId::from_hex(statement.text(0)), statement.text(1)};
}

}  // namespace appliance::catalog::sqlite
