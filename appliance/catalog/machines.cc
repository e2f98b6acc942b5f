#include <fmt/format.h>

#include "appliance/catalog/catalog.h"
#include "appliance/catalog/sqlite.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::catalog {
namespace {

// The latest point is the last of its timeline, as images::newest_of() has it: one that its host
// alone has dated, and into the future, gives way to any other.
constexpr std::string_view kSelect = R"sql(
SELECT m.id, t.name, m.name, m.host, h.name, m.created_ms,
       (SELECT count(*) FROM points p WHERE p.tenant = m.tenant AND p.machine = m.id),
       l.id, l.time_ms, l.size, l.host_time_ms, l.timeline_order, l.dated_by_host, l.host_clock_wrong
FROM machines m JOIN tenants t ON t.id = m.tenant LEFT JOIN hosts h ON h.id = m.host
LEFT JOIN points l ON l.tenant = m.tenant AND l.id = (
  SELECT p.id FROM points p WHERE p.tenant = m.tenant AND p.machine = m.id
  ORDER BY p.dated_by_host AND p.time_ms > strftime('%s', 'now') * 1000, p.timeline_order DESC, p.id DESC LIMIT 1)
)sql";

Machine read_machine(Statement& row) {
  Machine machine;
  machine.id = images::MachineId::from_hex(row.text(0));
  machine.tenant = row.text(1);
  machine.name = row.text(2);
  if (!row.is_null(3)) machine.host = HostId::from_hex(row.text(3));
  machine.host_name = row.text(4);
  machine.created_ms = row.natural(5);
  machine.point_count = row.natural(6);
  if (!row.is_null(7)) {
    machine.latest_point = images::PointId::from_hex(row.text(7));
    machine.latest_ms = row.natural(8);
    machine.size = row.natural(9);
    machine.latest_dates = {row.natural(10), row.natural(11), row.integer(12) != 0,
                            row.integer(13) != 0};
  }
  return machine;
}

std::optional<Machine> select_machine(Database& database, int64_t tenant, std::string_view name) {
  Statement statement =
      database.prepare(fmt::format("{} WHERE m.tenant = ? AND m.name = ?", kSelect));
  statement.bind(tenant, name);
  if (!statement.step()) return std::nullopt;
  return read_machine(statement);
}

// Each name that a host syncs under is a row for ever: one host must not make them without end.
void expect_room_for_machine(Database& database, const HostId& host) {
  constexpr uint64_t kDayMs = 24ull * 3'600'000;
  auto since = [&](uint64_t since_ms) {
    Statement statement =
        database.prepare("SELECT count(*) FROM machines WHERE host = ? AND created_ms >= ?");
    statement.bind(host.hex(), since_ms);
    return statement.step() ? statement.natural(0) : 0;
  };
  if (since(0) < Catalog::kMachinesOfHost &&
      since(base::now_ms() - kDayMs) < Catalog::kNewMachinesADay)
    return;
  throw base::Error(base::ErrorCode::no_space,
                    fmt::format("this host has begun too many machines: at most {} new ones a day, "
                                "and {} in all",
                                Catalog::kNewMachinesADay, Catalog::kMachinesOfHost));
}

}  // namespace

void expect_writable(const Machine& machine, const HostId& host) {
  if (machine.host && *machine.host != host) {
    throw base::Error(base::ErrorCode::unauthorized,
                      fmt::format("the machine '{}' belongs to another host, '{}'", machine.name,
                                  machine.host_name));
  }
  if (!machine.host && machine.point_count > 0) {
    throw base::Error(
        base::ErrorCode::unauthorized,
        fmt::format("the machine '{0}' has points but belongs to no host; an operator must assign "
                    "it: muletto machine assign '{0}' HOST",
                    machine.name));
  }
}

std::vector<Machine> Catalog::machines(const TenantScope& scope) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      fmt::format("{} WHERE ?1 IS NULL OR t.name = ?1 ORDER BY t.name, m.name", kSelect));
  statement.bind(tenant_filter(**database, scope));
  std::vector<Machine> machines;
  while (statement.step()) machines.push_back(read_machine(statement));
  return machines;
}

std::optional<Machine> Catalog::find_machine(std::string_view tenant, std::string_view name) {
  auto database = database_.lock();
  return select_machine(**database, tenant_id(**database, tenant), name);
}

Machine Catalog::machine(std::string_view tenant, std::string_view name) {
  if (auto machine = find_machine(tenant, name)) return *machine;
  throw base::Error(
      base::ErrorCode::not_found,
      fmt::format("there is no machine '{}'; see 'muletto machine list'", name.substr(0, 255)));
}

Machine Catalog::claim_machine(std::string_view tenant, const images::MachineId& id,
                               std::string_view name, const HostId& host) {
  base::check_name(name, "machine's name");
  auto database = database_.lock();
  Transaction transaction(**database);
  int64_t tenant_number = tenant_id(**database, tenant);
  auto existing = select_machine(**database, tenant_number, name);
  if (existing) expect_writable(*existing, host);
  else expect_room_for_machine(**database, host);
  (*database)
      ->prepare(
          "INSERT INTO machines(tenant, id, name, host, created_ms) VALUES (?, ?, ?, ?, ?) "
          "ON CONFLICT(tenant, id) DO UPDATE SET host = excluded.host")
      .bind(tenant_number, id.hex(), name, host.hex(), base::now_ms())
      .run();
  transaction.commit();
  return *select_machine(**database, tenant_number, name);
}

void Catalog::assign_machine(std::string_view tenant, std::string_view name,
                             const std::optional<HostId>& host) {
  auto database = database_.lock();
  std::optional<std::string> host_hex;
  if (host) host_hex = host->hex();
  (*database)
      ->prepare("UPDATE machines SET host = ? WHERE tenant = ? AND name = ?")
      .bind(host_hex, tenant_id(**database, tenant), name)
      .run();
  if ((*database)->changed_rows() == 0) {
    throw base::Error(base::ErrorCode::not_found,
                      fmt::format("there is no machine '{}'", name.substr(0, 255)));
  }
}

}  // namespace appliance::catalog
