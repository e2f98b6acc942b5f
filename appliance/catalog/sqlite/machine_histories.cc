// What has happened to all machines of a tenant, in three queries. They read only the indexes points_seen
// and verifications_seen: a row of verifications holds evidence and a serial log, which SQLite would
// have to walk through for what stands behind them.
#include "appliance/catalog/proved_recovery.h"
#include "appliance/catalog/sqlite/machines.h"
#include "base/error.h"

namespace appliance::catalog::sqlite {
namespace {

constexpr uint64_t kDayMs = 24ull * 3'600'000;
constexpr uint64_t kWindowMs = kHistoryDays * kDayMs;

// The day that a time of the window belongs to; one in the future belongs to the newest.
size_t day_of(uint64_t time_ms, uint64_t now_ms) {
  return time_ms >= now_ms ? 0 : std::min<size_t>((now_ms - time_ms) / kDayMs, kHistoryDays - 1);
}

void count_points(Database& database, int64_t tenant, uint64_t now_ms, uint64_t from_ms,
                  MachineHistories& histories) {
  Statement statement = database.prepare(
      "SELECT m.name, seen.day, seen.point_count FROM "
      "(SELECT machine, max(?1 - time_ms, 0) / ?2 AS day, count(*) AS point_count FROM points "
      "INDEXED BY points_seen WHERE tenant = ?3 AND time_ms > ?4 GROUP BY machine, day) seen "
      "JOIN machines m ON m.tenant = ?3 AND m.id = seen.machine");
  statement.bind(now_ms, kDayMs, tenant, from_ms);
  while (statement.step()) {
    size_t day = std::min<size_t>(statement.natural(1), kHistoryDays - 1);
    histories[statement.text(0)].days[day].point_count =
        static_cast<uint32_t>(statement.natural(2));
  }
}

void count_test_boots(Database& database, int64_t tenant, uint64_t now_ms, uint64_t from_ms,
                      MachineHistories& histories) {
  Statement statement = database.prepare(
      "SELECT machine, started_ms, verdict, recovery_ms FROM verifications "
      "INDEXED BY verifications_seen WHERE tenant = ? AND started_ms > ? "
      "ORDER BY machine, started_ms DESC");
  statement.bind(tenant, from_ms);
  while (statement.step()) {
    MachineHistory& history = histories[statement.text(0)];
    HistoryDay& day = history.days[day_of(statement.natural(1), now_ms)];
    std::string verdict = statement.text(2);
    if (verdict == "pass") ++day.pass_count;
    if (verdict == "fail") ++day.fail_count;
    if (verdict == "pass" && !statement.is_null(3) && history.recovery_times.size() < kRecoveryFrom)
      history.recovery_times.push_back({statement.natural(1), statement.natural(3)});
  }
}

void find_newest_tests(Database& database, int64_t tenant, MachineHistories& histories) {
  // Beside a single max(), SQLite takes the other columns from the row that has it.
  Statement statement = database.prepare(
      "SELECT machine, id, max(started_ms), verdict FROM verifications INDEXED BY "
      "verifications_seen WHERE tenant = ? GROUP BY machine");
  statement.bind(tenant);
  while (statement.step()) {
    histories[statement.text(0)].newest_test =
        NewestTest{statement.integer(1), statement.text(3), "", statement.natural(2), 0};
  }
  for (auto& [name, history] : histories) {
    if (!history.newest_test) continue;
    Statement details = database.prepare(
        "SELECT " + std::string(Database::first_of_array("reasons")) +
        ", (SELECT count(*) FROM verification_pictures p WHERE p.verification = v.id) "
        "FROM verifications v WHERE v.id = ?");
    details.bind(history.newest_test->number);
    if (!details.step()) continue;
    history.newest_test->reason = details.text(0);
    history.newest_test->picture_count = static_cast<uint32_t>(details.natural(1));
  }
}

}  // namespace

MachineHistories SqliteMachineRecords::machine_histories(const TenantName& tenant,
                                                         uint64_t now_ms) {
  auto database = database_.lock();
  int64_t number = tenant_id(**database, tenant);
  uint64_t from_ms = now_ms > kWindowMs ? now_ms - kWindowMs : 0;
  MachineHistories histories;
  count_points(**database, number, now_ms, from_ms, histories);
  count_test_boots(**database, number, now_ms, from_ms, histories);
  find_newest_tests(**database, number, histories);
  return histories;
}

}  // namespace appliance::catalog::sqlite
