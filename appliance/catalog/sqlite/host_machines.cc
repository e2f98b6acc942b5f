// Which host reported a machine, and the last order given to it for the machine.
#include "appliance/catalog/machine_records.h"
#include "appliance/catalog/sqlite/protections.h"

namespace appliance::catalog::sqlite {
namespace {

constexpr uint64_t kDayMs = 24ull * 3'600'000;

uint64_t noticed_since(Database& database, const HostId& host, uint64_t since_ms) {
  Statement statement =
      database.prepare("SELECT count(*) FROM host_machines WHERE host = ? AND noticed_ms >= ?");
  statement.bind(host.hex(), since_ms);
  return statement.step() ? statement.natural(0) : 0;
}

}  // namespace

Noticed SqliteProtectionRecords::notice_machines(const Host& host,
                                                 const std::vector<std::string>& names, bool wanted,
                                                 uint64_t now_ms) {
  Noticed noticed;
  auto database = database_.lock();
  int64_t tenant = tenant_id(**database, host.tenant);
  std::vector<std::string> unknown;
  for (const std::string& name : names) {
    Statement known =
        (*database)->prepare("SELECT 1 FROM protections WHERE tenant = ? AND machine = ?");
    if (!known.bind(tenant, name).step()) unknown.push_back(name);
  }
  if (unknown.empty()) return noticed;
  Transaction transaction(**database);
  uint64_t today = noticed_since(**database, host.id, now_ms > kDayMs ? now_ms - kDayMs : 0);
  uint64_t ever = noticed_since(**database, host.id, 0);
  for (const std::string& name : unknown) {
    if (today >= MachineRecords::kNewMachinesADay || ever >= MachineRecords::kMachinesOfHost) {
      ++noticed.refused_count;
      continue;
    }
    ++today, ++ever;
    (*database)
        ->prepare(
            "INSERT INTO protections(tenant, machine, wanted, noticed_ms) VALUES (?, ?, ?, ?)")
        .bind(tenant, name, wanted ? 1 : 0, now_ms)
        .run();
    (*database)
        ->prepare(
            "INSERT INTO host_machines(tenant, machine, host, noticed_ms) VALUES (?, ?, ?, ?) "
            "ON CONFLICT(tenant, machine) DO UPDATE SET host = excluded.host, "
            "noticed_ms = excluded.noticed_ms")
        .bind(tenant, name, host.id.hex(), now_ms)
        .run();
    noticed.machines.push_back(name);
  }
  transaction.commit();
  return noticed;
}

void SqliteProtectionRecords::save_order(const TenantName& tenant, std::string_view machine,
                                         const HostId& host, uint64_t order, uint64_t now_ms) {
  auto database = database_.lock();
  (*database)
      ->prepare(
          "INSERT INTO host_machines(tenant, machine, host, noticed_ms, order_id, order_host) "
          "VALUES (?1, ?2, ?3, ?5, ?4, ?3) ON CONFLICT(tenant, machine) DO UPDATE SET "
          "order_id = excluded.order_id, order_host = excluded.order_host")
      .bind(tenant_id(**database, tenant), machine, host.hex(), order, now_ms)
      .run();
}

bool SqliteProtectionRecords::was_ordered(const TenantName& tenant, std::string_view machine,
                                          const HostId& host, uint64_t order) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      "SELECT 1 FROM host_machines WHERE tenant = ? AND machine = ? AND order_host = ? AND "
      "order_id = ?");
  statement.bind(tenant_id(**database, tenant), machine, host.hex(), order);
  return statement.step();
}

}  // namespace appliance::catalog::sqlite
