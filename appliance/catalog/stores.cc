#include "appliance/catalog/catalog.h"
#include "appliance/catalog/sqlite.h"

namespace appliance::catalog {

std::optional<StoreRecord> Catalog::find_store(std::string_view tenant) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare("SELECT id, directory FROM stores WHERE tenant = ?");
  statement.bind(tenant_id(**database, tenant));
  if (!statement.step()) return std::nullopt;
  StoreRecord record;
  if (!statement.text(0).empty()) record.id = images::StoreId::from_hex(statement.text(0));
  record.directory = statement.text(1);
  return record;
}

void Catalog::save_store(std::string_view tenant, const StoreRecord& store) {
  auto database = database_.lock();
  (*database)
      ->prepare("INSERT OR REPLACE INTO stores(tenant, id, directory) VALUES (?, ?, ?)")
      .bind(tenant_id(**database, tenant), store.id ? store.id->hex() : std::string(),
            store.directory)
      .run();
}

std::vector<std::string> Catalog::tenants_with_store(const images::StoreId& id) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      "SELECT t.name FROM stores s JOIN tenants t ON t.id = s.tenant WHERE s.id = ?");
  statement.bind(id.hex());
  std::vector<std::string> names;
  while (statement.step()) names.push_back(statement.text(0));
  return names;
}

std::vector<MissingPoint> Catalog::missing_points(std::string_view tenant) {
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

void Catalog::intend_removal(std::string_view tenant, const images::PointId& id) {
  auto database = database_.lock();
  (*database)
      ->prepare("INSERT OR IGNORE INTO removals(tenant, point) VALUES (?, ?)")
      .bind(tenant_id(**database, tenant), id.hex())
      .run();
}

std::optional<std::string> Catalog::find_fact(std::string_view name) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare("SELECT value FROM facts WHERE name = ?");
  statement.bind(name);
  if (!statement.step()) return std::nullopt;
  return statement.text(0);
}

void Catalog::save_fact(std::string_view name, std::string_view value) {
  auto database = database_.lock();
  (*database)
      ->prepare("INSERT OR REPLACE INTO facts(name, value) VALUES (?, ?)")
      .bind(name, value)
      .run();
}

}  // namespace appliance::catalog
