#include "appliance/catalog/sqlite/corrections.h"

#include <fmt/format.h>

#include "appliance/catalog/verification_records.h"
#include "base/error.h"

namespace appliance::catalog::sqlite {
namespace {

using base::Error;
using base::ErrorCode;

struct Subject {
  int64_t tenant = 0;
  std::string machine_name;
  std::string verdict;
  std::string reasons;
  bool settled = true;
  bool is_corrected = false;
  int64_t newer_count = 0;  // test boots of the same machine
};

Subject find_subject(Database& database, const access::TenantScope& scope, int64_t number) {
  Statement statement = database.prepare(
      "SELECT v.tenant, v.machine, v.verdict, v.reasons, v.settled, c.verification IS NOT NULL, "
      "(SELECT count(*) FROM verifications n WHERE n.tenant = v.tenant AND n.machine = v.machine "
      "AND n.id > v.id) FROM verifications v JOIN tenants t ON t.id = v.tenant "
      "LEFT JOIN corrections c ON c.verification = v.id "
      "WHERE (?1 IS NULL OR t.name = ?1) AND v.id = ?2");
  statement.bind(tenant_filter(database, scope), number);
  if (!statement.step()) {
    throw Error(ErrorCode::not_found,
                fmt::format("there is no test boot {}; see 'muletto verify list'", number));
  }
  return {statement.integer(0), statement.text(1),         statement.text(2),
          statement.text(3),    statement.natural(4) != 0, statement.natural(5) != 0,
          statement.integer(6)};
}

void forget_taught_by(Database& database, int64_t number) {
  database.prepare("DELETE FROM taught_rules WHERE verification = ?").bind(number).run();
}

void check_room(Database& database, const Subject& subject) {
  Statement statement =
      database.prepare("SELECT count(*) FROM taught_rules WHERE tenant = ? AND machine = ?");
  statement.bind(subject.tenant, subject.machine_name);
  statement.step();
  if (statement.natural(0) < CorrectionRecords::kRulesPerMachine) return;
  throw Error(
      ErrorCode::busy,
      fmt::format("'{}' has {} taught rules already, which is the limit; list them with "
                  "'muletto verify rules {}' and remove one with 'muletto verify forget'",
                  subject.machine_name, CorrectionRecords::kRulesPerMachine, subject.machine_name));
}

int64_t insert_rule(Database& database, const Subject& subject, int64_t number,
                    const TaughtRule& rule) {
  Statement statement =
      database.insert("taught_rules", {"tenant", "machine", "verification", "means_up", "lines",
                                       "tolerated", "reason", "taught_by", "taught_ms"});
  statement.bind(subject.tenant, subject.machine_name, number, rule.means_up ? 1 : 0, rule.lines,
                 rule.tolerated, rule.reason, rule.taught_by, rule.taught_ms);
  return statement.run_for_id();
}

}  // namespace

int64_t SqliteCorrectionRecords::correct_verification(const access::TenantScope& scope,
                                                      int64_t number, const Correction& correction,
                                                      const std::string& reasons,
                                                      const std::vector<TaughtRule>& rules) {
  auto database = database_.lock();
  Transaction transaction(**database);
  Subject subject = find_subject(**database, scope, number);
  if (!subject.settled) {
    throw Error(
        ErrorCode::busy,
        fmt::format("test boot {} is still being observed; correct it when that is over", number));
  }
  if (subject.newer_count >= VerificationRecords::kFullTestBootsKept) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("test boot {} is not among the last {} of '{}': what it saw is no "
                            "longer kept, and its verdict stands",
                            number, VerificationRecords::kFullTestBootsKept, subject.machine_name));
  }
  forget_taught_by(**database, number);
  if (subject.is_corrected) {
    (*database)
        ->prepare(
            "UPDATE corrections SET verdict = ?, reason = ?, corrected_by = ?, corrected_ms = ? "
            "WHERE verification = ?")
        .bind(correction.verdict, correction.reason, correction.corrected_by,
              correction.corrected_ms, number)
        .run();
  } else {
    (*database)
        ->prepare(
            "INSERT INTO corrections(verification, verdict, reason, corrected_by, corrected_ms, "
            "given_verdict, given_reasons) VALUES (?, ?, ?, ?, ?, ?, ?)")
        .bind(number, correction.verdict, correction.reason, correction.corrected_by,
              correction.corrected_ms, subject.verdict, subject.reasons)
        .run();
  }
  (*database)
      ->prepare("UPDATE verifications SET verdict = ?, reasons = ? WHERE id = ?")
      .bind(correction.verdict, reasons, number)
      .run();
  int64_t rule = 0;
  if (!rules.empty()) {
    check_room(**database, subject);
    rule = insert_rule(**database, subject, number, rules.front());
  }
  transaction.commit();
  return rule;
}

void SqliteCorrectionRecords::withdraw_correction(const access::TenantScope& scope,
                                                  int64_t number) {
  auto database = database_.lock();
  Transaction transaction(**database);
  Subject subject = find_subject(**database, scope, number);
  if (!subject.is_corrected) {
    throw Error(ErrorCode::not_found,
                fmt::format("nobody corrected the verdict of test boot {}", number));
  }
  (*database)
      ->prepare(
          "UPDATE verifications SET "
          "verdict = (SELECT given_verdict FROM corrections WHERE verification = ?1), "
          "reasons = (SELECT given_reasons FROM corrections WHERE verification = ?1) "
          "WHERE id = ?1")
      .bind(number)
      .run();
  (*database)->prepare("DELETE FROM corrections WHERE verification = ?").bind(number).run();
  forget_taught_by(**database, number);
  transaction.commit();
}

std::vector<TaughtRule> SqliteCorrectionRecords::taught_rules(const access::TenantName& tenant,
                                                              std::string_view machine_name) {
  auto database = database_.lock();
  Statement row = (*database)->prepare(
      "SELECT id, machine, verification, means_up, lines, tolerated, reason, taught_by, "
      "taught_ms FROM taught_rules WHERE tenant = ? AND machine = ? ORDER BY id DESC");
  row.bind(tenant_id(**database, tenant.text()), machine_name);
  std::vector<TaughtRule> rules;
  while (row.step()) {
    rules.push_back({row.integer(0), row.text(1), row.integer(2), row.natural(3) != 0, row.text(4),
                     row.text(5), row.text(6), row.text(7), row.natural(8)});
  }
  return rules;
}

void SqliteCorrectionRecords::forget_rule(const access::TenantName& tenant,
                                          std::string_view machine_name, int64_t number) {
  auto database = database_.lock();
  (*database)
      ->prepare("DELETE FROM taught_rules WHERE id = ? AND tenant = ? AND machine = ?")
      .bind(number, tenant_id(**database, tenant.text()), machine_name)
      .run();
  if ((*database)->changed_rows() > 0) return;
  throw Error(ErrorCode::not_found, fmt::format("'{}' has no taught rule {}; see 'muletto verify "
                                                "rules {}'",
                                                machine_name, number, machine_name));
}

}  // namespace appliance::catalog::sqlite
