#include "appliance/catalog/sqlite/machines.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"

namespace appliance::catalog::sqlite {
namespace {

// The latest point is the last of its timeline, as images::newest_of() defines it: one dated only
// by its host, and into the future, is used only if there is no other. ?1 is now.
constexpr std::string_view kSelect = R"sql(
SELECT m.id, t.name, m.name, m.host, h.name, m.created_ms,
       (SELECT count(*) FROM points p WHERE p.tenant = m.tenant AND p.machine = m.id),
       l.id, l.time_ms, l.size, l.host_time_ms, l.timeline_order, l.dated_by_host, l.host_clock_wrong
FROM machines m JOIN tenants t ON t.id = m.tenant LEFT JOIN hosts h ON h.id = m.host
LEFT JOIN points l ON l.tenant = m.tenant AND l.id = (
  SELECT p.id FROM points p WHERE p.tenant = m.tenant AND p.machine = m.id
  ORDER BY p.dated_by_host AND p.time_ms > ?1, p.timeline_order DESC, p.id DESC LIMIT 1)
)sql";

Machine read_machine(Statement& row) {
  Machine machine;
  machine.id = images::MachineId::from_hex(row.text(0));
  machine.tenant = TenantName(row.text(1));
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
      database.prepare(fmt::format("{} WHERE m.tenant = ?2 AND m.name = ?3", kSelect));
  statement.bind(base::now_ms(), tenant, name);
  if (!statement.step()) return std::nullopt;
  return read_machine(statement);
}

// Each name that a host syncs under is a row forever: one host must not create them without limit.
void require_room_for_machine(Database& database, const HostId& host) {
  constexpr uint64_t kDayMs = 24ull * 3'600'000;
  auto since = [&](uint64_t since_ms) {
    Statement statement =
        database.prepare("SELECT count(*) FROM machines WHERE host = ? AND created_ms >= ?");
    statement.bind(host.hex(), since_ms);
    return statement.step() ? statement.natural(0) : 0;
  };
  if (since(0) < MachineRecords::kMachinesOfHost &&
      since(base::now_ms() - kDayMs) < MachineRecords::kNewMachinesADay)
    return;
  throw base::Error(
      base::ErrorCode::no_space,
      fmt::format("this host has introduced too many machines: at most {} new ones a day, and "
                  "{} in all",
                  MachineRecords::kNewMachinesADay, MachineRecords::kMachinesOfHost));
}

// Kinds of alerts and jobs whose subject is something else, which may have the same name as a
// machine.
constexpr std::string_view kMachineAlerts =
    "kind NOT IN ('host-silent', 'store-nearly-full', 'points-damaged', 'store-damaged', "
    "'retention-failing')";
constexpr std::string_view kMachineJobs = "kind NOT IN ('check', 'compact', 'report', 'delete')";

uint64_t count(Database& database, const std::string& table_and_condition, int64_t tenant,
               std::string_view machine) {
  Statement statement = database.prepare("SELECT count(*) FROM " + table_and_condition);
  statement.bind(tenant, machine);
  return statement.step() ? statement.natural(0) : 0;
}

}  // namespace

std::vector<Machine> SqliteMachineRecords::machines(const TenantScope& scope) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      fmt::format("{} WHERE ?2 IS NULL OR t.name = ?2 ORDER BY t.name, m.name", kSelect));
  statement.bind(base::now_ms(), tenant_filter(**database, scope));
  std::vector<Machine> machines;
  while (statement.step()) machines.push_back(read_machine(statement));
  return machines;
}

std::optional<Machine> SqliteMachineRecords::find_machine(const TenantName& tenant,
                                                          std::string_view name) {
  auto database = database_.lock();
  return select_machine(**database, tenant_id(**database, tenant), name);
}

Machine SqliteMachineRecords::claim_machine(const TenantName& tenant, const images::MachineId& id,
                                            std::string_view name, const HostId& host) {
  base::check_name(name, "machine's name");
  auto database = database_.lock();
  Transaction transaction(**database);
  int64_t tenant_number = tenant_id(**database, tenant);
  auto existing = select_machine(**database, tenant_number, name);
  if (existing) require_writable(*existing, host);
  else require_room_for_machine(**database, host);
  (*database)
      ->prepare(
          "INSERT INTO machines(tenant, id, name, host, created_ms) VALUES (?, ?, ?, ?, ?) "
          "ON CONFLICT(tenant, id) DO UPDATE SET host = excluded.host")
      .bind(tenant_number, id.hex(), name, host.hex(), base::now_ms())
      .run();
  transaction.commit();
  return *select_machine(**database, tenant_number, name);
}

void SqliteMachineRecords::assign_machine(const TenantName& tenant, std::string_view name,
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

MachineTraces SqliteMachineRecords::machine_traces(const TenantName& tenant,
                                                   std::string_view machine_name) {
  auto database = database_.lock();
  int64_t number = tenant_id(**database, tenant);
  auto of = [&](const std::string& words) {
    return count(**database, words, number, machine_name);
  };
  MachineTraces traces;
  traces.is_known = of("machines WHERE tenant = ? AND name = ?") > 0;
  traces.is_protected = of("protections WHERE tenant = ? AND machine = ?") > 0;
  traces.point_count =
      of("points p JOIN machines m ON m.tenant = p.tenant AND m.id = p.machine "
         "WHERE p.tenant = ? AND m.name = ?");
  traces.test_boot_count = of("verifications WHERE tenant = ? AND machine = ?");
  traces.alert_count =
      of(fmt::format("alerts WHERE tenant = ? AND subject = ? AND {}", kMachineAlerts));
  traces.job_count = of(fmt::format("jobs WHERE tenant = ? AND subject = ? AND {}", kMachineJobs));
  return traces;
}

void SqliteMachineRecords::forget_machine(const TenantName& tenant, std::string_view machine_name,
                                          uint64_t now_ms) {
  auto database = database_.lock();
  Transaction transaction(**database);
  int64_t number = tenant_id(**database, tenant);
  uint64_t points = count(**database,
                          "points p JOIN machines m ON m.tenant = p.tenant AND m.id = p.machine "
                          "WHERE p.tenant = ? AND m.name = ?",
                          number, machine_name);
  if (points > 0) {
    throw base::Error(base::ErrorCode::busy,
                      fmt::format("the machine '{}' has points; delete them first", machine_name));
  }
  auto run = [&](const std::string& words) {
    (*database)->prepare(words).bind(number, machine_name).run();
  };
  for (const char* table : {"verifications", "machine_checks", "taught_rules", "protections",
                            "recovery_gaps", "retention_marks", "host_machines"})
    run(fmt::format("DELETE FROM {} WHERE tenant = ? AND machine = ?", table));
  run(
      fmt::format("DELETE FROM jobs WHERE tenant = ? AND subject = ? AND ended_ms IS NOT NULL AND "
                  "{}",
                  kMachineJobs));
  // Open ones are closed now: nothing confirms any more that they are true.
  (*database)
      ->prepare(fmt::format("UPDATE alerts SET closed_ms = ?3 WHERE tenant = ?1 AND subject = ?2 "
                            "AND closed_ms IS NULL AND {}",
                            kMachineAlerts))
      .bind(number, machine_name, now_ms)
      .run();
  run("DELETE FROM missing_points WHERE tenant = ? AND machine_name = ?");
  run("DELETE FROM machines WHERE tenant = ? AND name = ?");
  transaction.commit();
}

}  // namespace appliance::catalog::sqlite
