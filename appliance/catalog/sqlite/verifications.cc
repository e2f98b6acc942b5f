#include "appliance/catalog/sqlite/verifications.h"

#include <fmt/format.h>

#include <chrono>

#include "base/error.h"

namespace appliance::catalog::sqlite {
namespace {

constexpr std::string_view kSelect =
    "SELECT v.id, t.name, v.machine, v.point, v.point_time_ms, v.why, v.verdict, v.reasons, "
    "v.checks, v.evidence, v.serial, v.recovery_ms, v.started_ms, v.duration_ms, "
    "v.decisive_ms, v.judged_ms, v.settled, v.point_order, "
    "(SELECT count(*) FROM verification_pictures p WHERE p.verification = v.id), v.judging, "
    "c.verdict, c.reason, c.corrected_by, c.corrected_ms, c.given_verdict, c.given_reasons "
    "FROM verifications v JOIN tenants t ON t.id = v.tenant "
    "LEFT JOIN corrections c ON c.verification = v.id ";

Verification read_verification(Statement& row) {
  Verification seen;
  seen.number = row.integer(0);
  seen.tenant = TenantName(row.text(1));
  seen.machine_name = row.text(2);
  seen.point = images::PointId::from_hex(row.text(3));
  seen.point_time_ms = row.natural(4);
  seen.why = row.text(5);
  seen.verdict = row.text(6);
  seen.reasons = row.text(7);
  seen.checks = row.text(8);
  seen.evidence = row.text(9);
  seen.serial = row.text(10);
  if (!row.is_null(11)) seen.recovery_ms = row.natural(11);
  seen.started_ms = row.natural(12);
  seen.duration_ms = row.natural(13);
  if (!row.is_null(14)) seen.decisive_ms = row.natural(14);
  seen.judged_ms = row.natural(15);
  seen.settled = row.natural(16) != 0;
  seen.point_order = row.natural(17);
  seen.picture_count = static_cast<uint32_t>(row.natural(18));
  seen.judging = row.text(19);
  if (!row.is_null(20)) {
    seen.correction = {row.text(20),    row.text(21), row.text(22),
                       row.natural(23), row.text(24), row.text(25)};
  }
  return seen;
}

void insert_pictures(Database& database, int64_t number,
                     const std::vector<VerificationPicture>& pictures) {
  int64_t sequence = 0;
  for (const VerificationPicture& picture : pictures) {
    database
        .prepare(
            "INSERT INTO verification_pictures(verification, sequence, at_ms, text, png) "
            "VALUES (?, ?, ?, ?, ?)")
        .bind(number, ++sequence, picture.at_ms, std::string_view(picture.text),
              base::ByteView(picture.png))
        .run();
  }
}

// Of the machine's test boots that are not among its newest.
void thin_out(Database& database, int64_t tenant, const Verification& newest) {
  constexpr std::string_view kOlder =
      "(SELECT id FROM verifications WHERE tenant = ? AND machine = ? ORDER BY id DESC "
      "LIMIT -1 OFFSET ?)";
  auto run = [&](const std::string& words) {
    return database.prepare(words)
        .bind(tenant, std::string_view(newest.machine_name),
              VerificationRecords::kFullTestBootsKept)
        .run();
  };
  run(fmt::format("DELETE FROM verification_pictures WHERE verification IN {}", kOlder));
  run(
      fmt::format("UPDATE verifications SET evidence = '[]', serial = '', judging = '' "
                  "WHERE id IN {} AND (evidence != '[]' OR serial != '' OR judging != '')",
                  kOlder));
  database
      .prepare(
          "DELETE FROM verification_pictures WHERE verification IN (SELECT id FROM (SELECT v.id AS "
          "id, SUM(SUM(length(p.png))) OVER (ORDER BY v.id DESC) AS total FROM verifications v "
          "JOIN "
          "verification_pictures p ON p.verification = v.id WHERE v.tenant = ? AND v.machine = ? "
          "GROUP BY v.id) WHERE total > ?)")
      .bind(tenant, std::string_view(newest.machine_name), VerificationRecords::kPicturesSize)
      .run();
}

}  // namespace

int64_t SqliteVerificationRecords::add_verification(
    const Verification& seen, const std::vector<VerificationPicture>& pictures) {
  auto database = database_.lock();
  Transaction transaction(**database);
  Statement statement = (*database)->insert(
      "verifications", {"tenant", "machine", "point", "point_time_ms", "why", "verdict", "reasons",
                        "checks", "evidence", "serial", "recovery_ms", "started_ms", "duration_ms",
                        "decisive_ms", "judged_ms", "settled", "point_order", "judging"});
  statement.bind(tenant_id(**database, seen.tenant), seen.machine_name, seen.point.hex(),
                 seen.point_time_ms, seen.why, seen.verdict, seen.reasons, seen.checks,
                 seen.evidence, seen.serial, seen.recovery_ms, seen.started_ms, seen.duration_ms,
                 seen.decisive_ms, seen.judged_ms, seen.settled ? 1 : 0, seen.point_order,
                 seen.judging);
  int64_t number = statement.run_for_id();
  insert_pictures(**database, number, pictures);
  thin_out(**database, tenant_id(**database, seen.tenant), seen);
  transaction.commit();
  return number;
}

void SqliteVerificationRecords::forget_test_boots(uint64_t before_ms) {
  (*database_.lock())
      ->prepare(
          "DELETE FROM verifications WHERE started_ms < ? AND (SELECT count(*) FROM verifications "
          "n "
          "WHERE n.tenant = verifications.tenant AND n.machine = verifications.machine AND "
          "n.id > verifications.id) >= ? AND NOT EXISTS (SELECT 1 FROM points p WHERE p.tenant = "
          "verifications.tenant AND p.id = verifications.point)")
      .bind(before_ms, VerificationRecords::kFullTestBootsKept)
      .run();
}

void SqliteVerificationRecords::replace_verification(
    const Verification& seen, const std::vector<VerificationPicture>& pictures) {
  auto database = database_.lock();
  Transaction transaction(**database);
  (*database)
      ->prepare(
          "UPDATE verifications SET verdict = ?, reasons = ?, checks = ?, evidence = ?, serial = "
          "?, "
          "recovery_ms = ?, duration_ms = ?, decisive_ms = ?, judged_ms = ?, settled = ?, "
          "judging = ? WHERE id = ?")
      .bind(seen.verdict, seen.reasons, seen.checks, seen.evidence, seen.serial, seen.recovery_ms,
            seen.duration_ms, seen.decisive_ms, seen.judged_ms, seen.settled ? 1 : 0, seen.judging,
            seen.number)
      .run();
  (*database)
      ->prepare("DELETE FROM verification_pictures WHERE verification = ?")
      .bind(seen.number)
      .run();
  insert_pictures(**database, seen.number, pictures);
  thin_out(**database, tenant_id(**database, seen.tenant), seen);
  transaction.commit();
}

std::vector<RecoveryTime> SqliteVerificationRecords::recovery_times(const TenantName& tenant,
                                                                    std::string_view machine_name,
                                                                    uint32_t limit) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      "SELECT started_ms, recovery_ms FROM verifications WHERE tenant = ? AND machine = ? AND "
      "recovery_ms IS NOT NULL AND verdict = 'pass' ORDER BY id DESC LIMIT ?");
  statement.bind(tenant_id(**database, tenant), machine_name, limit);
  std::vector<RecoveryTime> times;
  while (statement.step()) times.push_back({statement.natural(0), statement.natural(1)});
  return times;
}

std::optional<NewestVerdict> SqliteVerificationRecords::newest_verdict(
    const TenantName& tenant, std::string_view machine_name) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(fmt::format(
      "SELECT verdict, {}, point_time_ms, started_ms FROM verifications WHERE tenant = ? "
      "AND machine = ? AND settled != 0 ORDER BY point_order DESC, id DESC LIMIT 1",
      Database::first_of_array("reasons")));
  statement.bind(tenant_id(**database, tenant), machine_name);
  if (!statement.step()) return std::nullopt;
  return NewestVerdict{statement.text(0), statement.text(1), statement.natural(2),
                       statement.natural(3)};
}

std::optional<uint64_t> SqliteVerificationRecords::last_passed_ms(const TenantName& tenant,
                                                                  std::string_view machine_name) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      "SELECT max(started_ms) FROM verifications WHERE tenant = ? AND machine = ? AND verdict = "
      "'pass'");
  statement.bind(tenant_id(**database, tenant), machine_name);
  if (!statement.step() || statement.is_null(0)) return std::nullopt;
  return statement.natural(0);
}

VerdictCounts SqliteVerificationRecords::verdict_counts(const TenantName& tenant,
                                                        std::string_view machine_name,
                                                        uint64_t from_ms, uint64_t to_ms) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      "SELECT count(*), count(CASE WHEN verdict = 'pass' THEN 1 END) FROM verifications "
      "WHERE tenant = ? AND machine = ? AND started_ms >= ? AND started_ms < ?");
  statement.bind(tenant_id(**database, tenant), machine_name, from_ms, to_ms);
  statement.step();
  return {statement.natural(0), statement.natural(1)};
}

std::optional<Verification> SqliteVerificationRecords::last_verification(
    const TenantName& tenant, std::string_view machine_name, uint64_t from_ms, uint64_t to_ms) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      fmt::format("{} WHERE v.tenant = ? AND v.machine = ? AND v.started_ms >= ? AND "
                  "v.started_ms < ? AND v.settled != 0 ORDER BY v.id DESC LIMIT 1",
                  kSelect));
  statement.bind(tenant_id(**database, tenant), machine_name, from_ms, to_ms);
  if (!statement.step()) return std::nullopt;
  return read_verification(statement);
}

std::vector<Verification> SqliteVerificationRecords::verifications(const TenantScope& scope,
                                                                   std::string_view machine_name,
                                                                   uint32_t limit) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      fmt::format("{} WHERE (?1 IS NULL OR t.name = ?1) AND (?2 = '' OR v.machine = ?2) "
                  "ORDER BY v.id DESC LIMIT ?3",
                  kSelect));
  statement.bind(tenant_filter(**database, scope), machine_name, limit);
  std::vector<Verification> rows;
  while (statement.step()) rows.push_back(read_verification(statement));
  return rows;
}

Verification SqliteVerificationRecords::verification(const TenantScope& scope, int64_t number) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      fmt::format("{} WHERE (?1 IS NULL OR t.name = ?1) AND v.id = ?2", kSelect));
  statement.bind(tenant_filter(**database, scope), number);
  if (!statement.step()) {
    throw base::Error(base::ErrorCode::not_found,
                      fmt::format("there is no test boot {}; see 'muletto verify list'", number));
  }
  return read_verification(statement);
}

std::vector<VerificationPicture> SqliteVerificationRecords::verification_pictures(int64_t number) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      "SELECT at_ms, text, png FROM verification_pictures WHERE verification = ? "
      "ORDER BY sequence");
  statement.bind(number);
  std::vector<VerificationPicture> pictures;
  while (statement.step())
    pictures.push_back({statement.natural(0), statement.text(1), statement.blob(2)});
  return pictures;
}

MachineChecks SqliteVerificationRecords::machine_checks(const TenantName& tenant,
                                                        std::string_view machine_name) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      "SELECT checks, learn_from_ms FROM machine_checks WHERE tenant = ? AND machine = ?");
  statement.bind(tenant_id(**database, tenant), machine_name);
  if (!statement.step()) return {};
  return {statement.text(0), statement.natural(1)};
}

void SqliteVerificationRecords::set_machine_checks(const TenantName& tenant,
                                                   std::string_view machine_name,
                                                   const MachineChecks& checks) {
  auto database = database_.lock();
  (*database)
      ->upsert("machine_checks", {"tenant", "machine"}, {"checks", "learn_from_ms"})
      .bind(tenant_id(**database, tenant), machine_name, checks.asked, checks.learn_from_ms)
      .run();
}

std::map<images::PointId, std::string> SqliteVerificationRecords::test_verdicts(
    const TenantName& tenant, std::string_view machine_name) {
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

}  // namespace appliance::catalog::sqlite
