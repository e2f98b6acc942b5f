// What every CorrectionRecords promises.
#include <catch2/catch.hpp>

#include "tests/appliance/catalog/catalogs.h"

namespace appliance::catalog {
namespace {

using base::ErrorCode;

Verification make_test_boot(const std::string& machine, const std::string& verdict) {
  Verification seen;
  seen.tenant = access::TenantName(kDefaultTenant);
  seen.machine_name = machine;
  seen.point = images::PointId::random();
  seen.why = "nightly";
  seen.verdict = verdict;
  seen.reasons = R"(["nothing was certain"])";
  seen.checks = "[]";
  seen.evidence = "[]";
  seen.judging = R"({"rule": "still"})";
  return seen;
}

TaughtRule make_rule(bool means_up) {
  return {0, "", 0, means_up, R"(["till ready"])", "[]", "it is up", "root", 70};
}

}  // namespace

TEST_CASE("records of corrections keep the contract", "[catalog]") {
  auto fresh = make_catalog(GENERATE(from_range(catalog_kinds())));
  Catalog* records = &fresh->get();
  const TenantName tenant(kDefaultTenant);
  const Correction correction{"pass", "it is up", "root", 70, "", ""};
  const std::string reasons = R"(["root says so", "nothing was certain"])";

  SECTION("a correction is the verdict everywhere, until it is withdrawn") {
    Verification seen = make_test_boot("web", "fail");
    seen.number = records->add_verification(seen, {});
    int64_t rule =
        records->correct_verification(tenant, seen.number, correction, reasons, {make_rule(true)});
    CHECK(rule > 0);
    fresh->reopen();
    records = &fresh->get();
    Verification known = records->verification(tenant, seen.number);
    CHECK(known.verdict == "pass");
    CHECK(known.judging == seen.judging);
    REQUIRE(known.correction);
    CHECK(known.correction->given_verdict == "fail");
    CHECK(known.correction->given_reasons == seen.reasons);
    CHECK(known.correction->reason == "it is up");
    CHECK(known.correction->corrected_by == "root");
    CHECK(known.correction->corrected_ms == 70);
    CHECK(records->newest_verdict(tenant, "web")->verdict == "pass");
    CHECK(records->newest_verdict(tenant, "web")->reason == "root says so");
    CHECK(records->test_verdicts(tenant, "web").at(seen.point) == "pass");
    CHECK(records->last_passed_ms(tenant, "web"));
    auto rules = records->taught_rules(tenant, "web");
    REQUIRE(rules.size() == 1);
    CHECK(rules[0].number == rule);
    CHECK(rules[0].verification == seen.number);
    CHECK(rules[0].machine_name == "web");
    CHECK(rules[0].lines == R"(["till ready"])");

    // A second one replaces the first and what it taught; what was given first stays known.
    Correction second = correction;
    second.verdict = "fail";
    records->correct_verification(tenant, seen.number, second, reasons, {});
    CHECK(records->verification(tenant, seen.number).verdict == "fail");
    CHECK(records->verification(tenant, seen.number).correction->given_verdict == "fail");
    CHECK(records->taught_rules(tenant, "web").empty());

    records->withdraw_correction(tenant, seen.number);
    CHECK(records->verification(tenant, seen.number).verdict == "fail");
    CHECK(records->verification(tenant, seen.number).reasons == seen.reasons);
    CHECK_FALSE(records->verification(tenant, seen.number).correction);
    CHECK(code_of([&] { records->withdraw_correction(tenant, seen.number); }) ==
          ErrorCode::not_found);
  }
  SECTION("a pass that a person took back proves no recovery time") {
    Verification seen = make_test_boot("web", "pass");
    seen.recovery_ms = 9000;
    seen.number = records->add_verification(seen, {});
    CHECK(records->recovery_times(tenant, "web", 5).size() == 1);
    Correction fail = correction;
    fail.verdict = "fail";
    records->correct_verification(tenant, seen.number, fail, reasons, {});
    CHECK(records->recovery_times(tenant, "web", 5).empty());
    CHECK(records->verdict_counts(tenant, "web", 0, 100).passed == 0);
  }
  SECTION("what cannot be corrected is refused, and nothing is taught") {
    Verification seen = make_test_boot("web", "pass");
    seen.settled = false;
    int64_t number = records->add_verification(seen, {});
    auto correct = [&](int64_t which, const TenantScope& scope) {
      return code_of([&] {
        records->correct_verification(scope, which, correction, reasons, {make_rule(true)});
      });
    };
    CHECK(correct(number, tenant) == ErrorCode::busy);
    CHECK(correct(number + 1, tenant) == ErrorCode::not_found);
    records->add_tenant("acme", 1);
    int64_t old = records->add_verification(make_test_boot("web", "fail"), {});
    CHECK(correct(old, TenantName("acme")) == ErrorCode::not_found);
    for (int64_t i = 0; i < VerificationRecords::kFullTestBootsKept; ++i)
      records->add_verification(make_test_boot("web", "fail"), {});
    CHECK(records->verification(tenant, old).judging.empty());
    CHECK(correct(old, tenant) == ErrorCode::invalid_argument);
    CHECK(records->verification(tenant, old).verdict == "fail");
    CHECK(records->taught_rules(tenant, "web").empty());
  }
  SECTION("a machine has a bounded number of rules of its own") {
    for (size_t i = 0; i <= CorrectionRecords::kRulesPerMachine; ++i) {
      int64_t number = records->add_verification(make_test_boot("web", "fail"), {});
      auto correct = [&] {
        records->correct_verification(tenant, number, correction, reasons, {make_rule(true)});
      };
      if (i < CorrectionRecords::kRulesPerMachine) {
        correct();
        continue;
      }
      CHECK(code_of(correct) == ErrorCode::busy);
      CHECK_FALSE(records->verification(tenant, number).correction);
    }
    auto rules = records->taught_rules(tenant, "web");
    CHECK(rules.size() == CorrectionRecords::kRulesPerMachine);
    CHECK(rules.front().number > rules.back().number);
    CHECK(records->taught_rules(tenant, "mail").empty());
    CHECK(code_of([&] { records->forget_rule(tenant, "mail", rules[0].number); }) ==
          ErrorCode::not_found);
    records->forget_rule(tenant, "web", rules[0].number);
    CHECK(records->taught_rules(tenant, "web").size() == rules.size() - 1);
    // The machine goes, and what was taught about it.
    records->forget_machine(tenant, "web", 5);
    CHECK(records->taught_rules(tenant, "web").empty());
  }
}

}  // namespace appliance::catalog
