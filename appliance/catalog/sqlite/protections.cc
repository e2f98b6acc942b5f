// Policies, which machines they protect, which rule removals follow, and the gaps between points.
#include "appliance/catalog/sqlite/protections.h"

#include <fmt/format.h>

#include "base/error.h"

namespace appliance::catalog::sqlite {
namespace {

constexpr std::string_view kSelect =
    "SELECT t.name, p.machine, p.wanted, p.policy, p.noticed_ms, p.begun_ms, p.in_flight, "
    "p.failures, p.retry_ms, p.last_error, p.to_forget FROM protections p JOIN tenants t ON t.id = "
    "p.tenant ";

Protection read_protection(Statement& row) {
  Protection protection;
  protection.tenant = TenantName(row.text(0));
  protection.machine = row.text(1);
  protection.wanted = row.integer(2) != 0;
  protection.policy = row.text(3);
  protection.noticed_ms = row.natural(4);
  protection.begun_ms = row.natural(5);
  protection.in_flight = row.integer(6) != 0;
  protection.failures = static_cast<uint32_t>(row.natural(7));
  protection.retry_ms = row.natural(8);
  protection.last_error = row.text(9);
  protection.to_forget = row.integer(10) != 0;
  return protection;
}

uint64_t worst_gap_in(Database& database, int64_t tenant, std::string_view machine, uint64_t from,
                      uint64_t to) {
  Statement statement = database.prepare(
      "SELECT coalesce(max(gap_ms), 0) FROM recovery_gaps WHERE tenant = ? AND machine = ? AND "
      "time_ms >= ? AND time_ms < ?");
  statement.bind(tenant, machine, from, to);
  return statement.step() ? statement.natural(0) : 0;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> SqliteProtectionRecords::policies(
    const TenantName& tenant) {
  auto database = database_.lock();
  Statement statement =
      (*database)->prepare("SELECT name, body FROM policies WHERE tenant = ? ORDER BY name");
  statement.bind(tenant_id(**database, tenant));
  std::vector<std::pair<std::string, std::string>> policies;
  while (statement.step()) policies.emplace_back(statement.text(0), statement.text(1));
  return policies;
}

void SqliteProtectionRecords::set_policy(const TenantName& tenant, std::string_view name,
                                         std::string_view body) {
  auto database = database_.lock();
  (*database)
      ->upsert("policies", {"tenant", "name"}, {"body"})
      .bind(tenant_id(**database, tenant), name, body)
      .run();
}

void SqliteProtectionRecords::remove_policy(const TenantName& tenant, std::string_view name) {
  auto database = database_.lock();
  int64_t tenant_number = tenant_id(**database, tenant);
  Statement users = (*database)->prepare(
      "SELECT machine FROM protections WHERE tenant = ? AND policy = ? LIMIT 1");
  if (users.bind(tenant_number, name).step()) {
    throw base::Error(
        base::ErrorCode::busy,
        fmt::format("the machine '{}' uses the policy '{}'; give it another one first",
                    users.text(0), name));
  }
  (*database)
      ->prepare("DELETE FROM policies WHERE tenant = ? AND name = ?")
      .bind(tenant_number, name)
      .run();
  if ((*database)->changed_rows() == 0) {
    throw base::Error(base::ErrorCode::not_found,
                      fmt::format("there is no policy '{}'", name.substr(0, 255)));
  }
}

std::vector<Protection> SqliteProtectionRecords::protections(const TenantName& tenant) {
  auto database = database_.lock();
  Statement statement =
      (*database)->prepare(fmt::format("{} WHERE p.tenant = ? ORDER BY p.machine", kSelect));
  statement.bind(tenant_id(**database, tenant));
  std::vector<Protection> protections;
  while (statement.step()) protections.push_back(read_protection(statement));
  return protections;
}

std::optional<Protection> SqliteProtectionRecords::find_protection(const TenantName& tenant,
                                                                   std::string_view machine) {
  auto database = database_.lock();
  Statement statement =
      (*database)->prepare(fmt::format("{} WHERE p.tenant = ? AND p.machine = ?", kSelect));
  statement.bind(tenant_id(**database, tenant), machine);
  if (!statement.step()) return std::nullopt;
  return read_protection(statement);
}

void SqliteProtectionRecords::save_protection(const Protection& protection) {
  auto database = database_.lock();
  (*database)
      ->upsert("protections", {"tenant", "machine"},
               {"wanted", "policy", "noticed_ms", "begun_ms", "in_flight", "failures", "retry_ms",
                "last_error", "to_forget"})
      .bind(tenant_id(**database, protection.tenant), protection.machine, protection.wanted ? 1 : 0,
            protection.policy, protection.noticed_ms, protection.begun_ms,
            protection.in_flight ? 1 : 0, protection.failures, protection.retry_ms,
            protection.last_error, protection.to_forget ? 1 : 0)
      .run();
}

RecoveryGaps SqliteProtectionRecords::recovery_gaps(const TenantName& tenant,
                                                    std::string_view machine, uint64_t now_ms) {
  constexpr uint64_t kDay = 24ull * 3'600'000;
  auto database = database_.lock();
  int64_t number = tenant_id(**database, tenant);
  auto since = [&](uint64_t age) { return now_ms > age ? now_ms - age : 0; };
  constexpr uint64_t kAlways = 1ull << 62;
  return {worst_gap_in(**database, number, machine, since(kDay), kAlways),
          worst_gap_in(**database, number, machine, since(7 * kDay), kAlways)};
}

uint64_t SqliteProtectionRecords::worst_gap(const TenantName& tenant, std::string_view machine,
                                            uint64_t from_ms, uint64_t to_ms) {
  auto database = database_.lock();
  return worst_gap_in(**database, tenant_id(**database, tenant), machine, from_ms, to_ms);
}

RetentionMark SqliteProtectionRecords::retention_mark(const TenantName& tenant,
                                                      std::string_view machine_name) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      "SELECT applied, wanted, wanted_since_ms FROM retention_marks WHERE tenant = ? AND machine = "
      "?");
  statement.bind(tenant_id(**database, tenant), machine_name);
  if (!statement.step()) return {};
  return {statement.text(0), statement.text(1), statement.natural(2)};
}

void SqliteProtectionRecords::save_retention_mark(const TenantName& tenant,
                                                  std::string_view machine_name,
                                                  const RetentionMark& mark) {
  auto database = database_.lock();
  (*database)
      ->upsert("retention_marks", {"tenant", "machine"}, {"applied", "wanted", "wanted_since_ms"})
      .bind(tenant_id(**database, tenant), machine_name, mark.applied, mark.wanted,
            mark.wanted_since_ms)
      .run();
}

void SqliteProtectionRecords::forget_gaps(uint64_t before_ms) {
  (*database_.lock())->prepare("DELETE FROM recovery_gaps WHERE time_ms < ?").bind(before_ms).run();
}

}  // namespace appliance::catalog::sqlite
