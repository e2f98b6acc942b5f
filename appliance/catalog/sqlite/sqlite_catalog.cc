#include "appliance/catalog/sqlite/sqlite_catalog.h"

#include <fmt/format.h>

#include "appliance/catalog/catalog_copy.h"
#include "appliance/catalog/sqlite/schema.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::catalog {
namespace {

// A program of the version before refuses a catalog that was migrated: going back needs the old one. One
// copy for each version is kept; the first is the one that the older program left.
void keep_before_migration(const std::string& path) {
  int version = catalog_version(path);
  if (version == 0 || version >= newest_catalog_version()) return;
  std::string copy = fmt::format("{}.version-{}", path, version);
  if (base::real_file_system().exists(copy)) return;
  copy_catalog(path, copy);
  base::log().info("the catalog as it was before the migration is kept in {}", copy);
}

}  // namespace

std::unique_ptr<Catalog> Catalog::open(const std::string& path) {
  if (base::real_file_system().exists(path)) keep_before_migration(path);
  auto database = std::make_unique<sqlite::Database>(path);
  sqlite::migrate(*database);
  database->insert_if_absent("tenants", {"name"}, {"created_ms"})
      .bind(kDefaultTenant, base::now_ms())
      .run();
  return std::make_unique<sqlite::SqliteCatalog>(std::move(database));
}

}  // namespace appliance::catalog

namespace appliance::catalog::sqlite {
namespace {

constexpr uint64_t kDayMs = 24ull * 3'600'000;

uint64_t before(uint64_t now_ms, uint64_t age_ms) { return now_ms > age_ms ? now_ms - age_ms : 0; }

}  // namespace

SqliteCatalog::SqliteCatalog(std::unique_ptr<Database> database)
    : ConnectionOwner(std::move(database)), SqliteTenantRecords(connection),
      SqliteHostRecords(connection), SqliteMachineRecords(connection),
      SqlitePointRecords(connection), SqliteJobRecords(connection), SqliteAlertRecords(connection),
      SqliteNoticeRecords(connection), SqliteVerificationRecords(connection),
      SqliteCorrectionRecords(connection), SqliteProtectionRecords(connection),
      SqliteFailbackRecords(connection), SqliteApplianceRecords(connection),
      SqlitePeopleRecords(connection), SqliteAuditRecords(connection) {}

PruneCounts SqliteCatalog::prune(const PruneLimits& limits, uint64_t now_ms) {
  auto database = connection.lock();
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
  forget(counts.sessions, "sessions", "id",
         fmt::format("used_ms < {}", before(now_ms, limits.session_days * kDayMs)));
  (*database)->execute(
      "DELETE FROM recovery_gaps WHERE NOT EXISTS (SELECT 1 FROM machines m WHERE m.tenant = "
      "recovery_gaps.tenant AND m.name = recovery_gaps.machine)");
  counts.gaps = static_cast<uint64_t>((*database)->changed_rows());
  // What is not kept for people.
  (*database)->execute(fmt::format(
      "DELETE FROM reminders WHERE NOT EXISTS (SELECT 1 FROM alerts a WHERE a.id = reminders.alert "
      "AND a.closed_ms IS NULL); DELETE FROM silences WHERE until_ms < {}; "
      "DELETE FROM notices WHERE added_ms < {}",
      before(now_ms, kDayMs), before(now_ms, 30 * kDayMs)));
  transaction.commit();
  return counts;
}

}  // namespace appliance::catalog::sqlite
