// What the catalog forgets: by order, everything of a machine or of a revoked host; by itself, what
// is old.
#include <fmt/format.h>

#include "appliance/catalog/catalog.h"
#include "appliance/catalog/retention_records.h"
#include "appliance/catalog/sqlite.h"
#include "base/error.h"

namespace appliance::catalog {
namespace {

using base::Error;
using base::ErrorCode;

constexpr uint64_t kDayMs = 24ull * 3'600'000;
// Kinds of alerts and jobs whose subject is something else, which may have a machine's name.
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

uint64_t before(uint64_t now_ms, uint64_t age_ms) { return now_ms > age_ms ? now_ms - age_ms : 0; }

}  // namespace

MachineTraces Catalog::machine_traces(std::string_view tenant, std::string_view machine_name) {
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

void Catalog::forget_machine(std::string_view tenant, std::string_view machine_name,
                             uint64_t now_ms) {
  auto database = database_.lock();
  Transaction transaction(**database);
  int64_t number = tenant_id(**database, tenant);
  uint64_t points = count(**database,
                          "points p JOIN machines m ON m.tenant = p.tenant AND m.id = p.machine "
                          "WHERE p.tenant = ? AND m.name = ?",
                          number, machine_name);
  if (points > 0) {
    throw Error(ErrorCode::busy,
                fmt::format("the machine '{}' has points; delete them first", machine_name));
  }
  auto run = [&](const std::string& words) {
    (*database)->prepare(words).bind(number, machine_name).run();
  };
  for (const char* table : {"verifications", "machine_checks", "protections", "recovery_gaps",
                            "retention_marks", "host_machines"})
    run(fmt::format("DELETE FROM {} WHERE tenant = ? AND machine = ?", table));
  run(
      fmt::format("DELETE FROM jobs WHERE tenant = ? AND subject = ? AND ended_ms IS NOT NULL AND "
                  "{}",
                  kMachineJobs));
  // Those that are open close now: nothing says any more that they are true.
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

void Catalog::forget_host(const HostId& id) {
  auto known = find_host(id);
  if (!known) throw Error(ErrorCode::not_found, "there is no host " + id.hex());
  if (!known->revoked) {
    throw Error(ErrorCode::busy,
                fmt::format("the host '{0}' may still write; revoke it first: muletto host revoke "
                            "{0}",
                            known->name));
  }
  auto database = database_.lock();
  Transaction transaction(**database);
  for (const char* words :
       {"DELETE FROM host_reports WHERE host = ?", "DELETE FROM host_machines WHERE host = ?",
        "UPDATE machines SET host = NULL WHERE host = ?",
        "DELETE FROM host_certificates WHERE host = ? AND host IN (SELECT id FROM hosts WHERE "
        "revoked != 0)",
        "DELETE FROM hosts WHERE id = ? AND revoked != 0"})
    (*database)->prepare(words).bind(id.hex()).run();
  transaction.commit();
}

PruneCounts Catalog::prune(const PruneLimits& limits, uint64_t now_ms) {
  auto database = database_.lock();
  Transaction transaction(**database);
  PruneCounts counts;
  // At most `limits.rows` of each kind: the lock is held for that long.
  auto forget = [&](uint64_t& counter, const std::string& table, const std::string& key,
                    const std::string& condition) {
    (*database)->execute(
        fmt::format("DELETE FROM {0} WHERE {1} IN (SELECT {1} FROM {0} WHERE {2} "
                    "LIMIT {3})",
                    table, key, condition, limits.rows));
    counter += static_cast<uint64_t>((*database)->changed_rows());
  };
  forget(counts.jobs, "jobs", "id",
         fmt::format("ended_ms IS NOT NULL AND id <= (SELECT id FROM jobs WHERE ended_ms IS NOT "
                     "NULL ORDER BY id DESC LIMIT 1 OFFSET {})",
                     limits.finished_jobs));
  forget(counts.job_logs, "job_log", "job",
         fmt::format("job IN (SELECT id FROM jobs WHERE ended_ms < {})",
                     before(now_ms, limits.job_log_days * kDayMs)));
  forget(counts.alerts, "alerts", "id",
         fmt::format("closed_ms < {}", before(now_ms, limits.alert_days * kDayMs)));
  forget(counts.tokens, "tokens", "id",
         fmt::format("(kind = 'enrolment' AND used_ms < {0}) OR expires_ms < {0}",
                     before(now_ms, limits.token_days * kDayMs)));
  forget(counts.reports, "host_reports", "host",
         "host IN (SELECT id FROM hosts WHERE revoked != 0)");
  forget(counts.holds, "holds", "point",
         fmt::format("until_ms < {}", before(now_ms, limits.token_days * kDayMs)));
  (*database)->execute(
      "DELETE FROM recovery_gaps WHERE NOT EXISTS (SELECT 1 FROM machines m WHERE m.tenant = "
      "recovery_gaps.tenant AND m.name = recovery_gaps.machine)");
  counts.gaps = static_cast<uint64_t>((*database)->changed_rows());
  transaction.commit();
  return counts;
}

}  // namespace appliance::catalog
