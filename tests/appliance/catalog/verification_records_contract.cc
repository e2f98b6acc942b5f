// What every VerificationRecords promises.
#include <catch2/catch.hpp>

#include "tests/appliance/catalog/catalogs.h"

namespace appliance::catalog {
namespace {

using base::ErrorCode;

constexpr uint64_t kDay = 24 * 3'600'000ull;

Verification make_verification(const std::string& machine, const std::string& verdict,
                               uint64_t started_ms) {
  Verification seen;
  seen.tenant = kDefaultTenant;
  seen.machine_name = machine;
  seen.point = images::PointId::random();
  seen.why = "nightly";
  seen.verdict = verdict;
  seen.reasons = R"(["the agent answered", "and SSH"])";
  seen.checks = R"(["agent"])";
  seen.evidence = R"(["seen"])";
  seen.serial = "login:";
  seen.started_ms = started_ms;
  return seen;
}

}  // namespace

TEST_CASE("records of test boots keep the contract", "[catalog]") {
  auto fresh = make_catalog(GENERATE(from_range(catalog_kinds())));
  VerificationRecords* records = &fresh->get();
  const TenantName tenant(kDefaultTenant);

  SECTION("what was judged is read again, and may be judged again") {
    Verification seen = make_verification("web", "pass", 100);
    seen.recovery_ms = 9000;
    seen.settled = false;
    seen.number = records->add_verification(seen, {{5, "login:", {1, 2, 3}}, {7, "", {4}}});
    fresh->reopen();
    records = &fresh->get();
    Verification known = records->verification(tenant, seen.number);
    CHECK(known.machine_name == "web");
    CHECK(known.point == seen.point);
    CHECK(known.why == "nightly");
    CHECK(known.reasons == seen.reasons);
    CHECK(known.recovery_ms == 9000);
    CHECK_FALSE(known.decisive_ms);
    CHECK_FALSE(known.settled);
    CHECK(known.picture_count == 2);
    auto pictures = records->verification_pictures(seen.number);
    REQUIRE(pictures.size() == 2);
    CHECK(pictures[0].png == base::Bytes{1, 2, 3});
    CHECK(pictures[1].at_ms == 7);
    CHECK_FALSE(records->newest_verdict(tenant, "web"));

    seen.verdict = "fail";
    seen.reasons = R"(["it panicked"])";
    seen.recovery_ms.reset();
    seen.settled = true;
    records->replace_verification(seen, {});
    CHECK(records->verification(tenant, seen.number).verdict == "fail");
    CHECK(records->verification_pictures(seen.number).empty());
    auto newest = records->newest_verdict(tenant, "web");
    REQUIRE(newest);
    CHECK(newest->verdict == "fail");
    CHECK(newest->reason == "it panicked");
    CHECK(code_of([&] { records->verification(tenant, seen.number + 1); }) == ErrorCode::not_found);
    fresh->get().add_tenant("acme", 1);
    CHECK(code_of([&] { records->verification(TenantName("acme"), seen.number); }) ==
          ErrorCode::not_found);
  }
  SECTION("a machine's figures are of its own test boots, within their time") {
    Verification pass = make_verification("web", "pass", 100);
    pass.recovery_ms = 9000;
    records->add_verification(pass, {});
    pass.started_ms = 200;
    pass.recovery_ms = 7000;
    records->add_verification(pass, {});
    Verification fail = make_verification("web", "fail", 300);
    fail.reasons = "[]";
    fail.point_order = 1;
    records->add_verification(fail, {});
    records->add_verification(make_verification("db", "pass", 400), {});
    auto times = records->recovery_times(tenant, "web", 10);
    REQUIRE(times.size() == 2);
    CHECK(times[0].recovery_ms == 7000);
    CHECK(records->recovery_times(tenant, "web", 1).size() == 1);
    CHECK(records->last_passed_ms(tenant, "web") == 200);
    CHECK_FALSE(records->last_passed_ms(tenant, "mail"));
    CHECK(records->verdict_counts(tenant, "web", 100, 300).all == 2);
    CHECK(records->verdict_counts(tenant, "web", 200, 301).all == 2);
    CHECK(records->verdict_counts(tenant, "web", 200, 301).passed == 1);
    CHECK(records->verdict_counts(tenant, "mail", 0, 500).passed == 0);
    CHECK(records->last_verification(tenant, "web", 0, 300)->started_ms == 200);
    CHECK_FALSE(records->last_verification(tenant, "web", 0, 100));
    CHECK(records->verifications(tenant, "", 10).front().machine_name == "db");
    CHECK(records->verifications(tenant, "web", 2).size() == 2);
    CHECK(records->newest_verdict(tenant, "web")->reason.empty());
    auto verdicts = records->test_verdicts(tenant, "web");
    CHECK(verdicts.at(pass.point) == "pass");
    CHECK(verdicts.at(fail.point) == "fail");
    CHECK(verdicts.size() == 2);
  }
  SECTION("of two tested points the verdict of the later one counts, whatever their times say") {
    Verification later = make_verification("web", "fail", 1);
    later.point_time_ms = 1000;
    later.point_order = 12;
    records->add_verification(later, {});
    Verification earlier = make_verification("web", "pass", 1);
    earlier.point_time_ms = 9000;
    earlier.point_order = 11;
    records->add_verification(earlier, {});
    CHECK(records->newest_verdict(tenant, "web")->verdict == "fail");
  }
  SECTION("what a machine must show is replaced as a whole") {
    CHECK(records->machine_checks(tenant, "web").asked == "[]");
    CHECK(records->machine_checks(tenant, "web").learn_from_ms == 0);
    records->set_machine_checks(tenant, "web", {R"(["tcp:22"])", 7});
    records->set_machine_checks(tenant, "web", {R"(["tcp:80"])", 8});
    CHECK(records->machine_checks(tenant, "web").asked == R"(["tcp:80"])");
    CHECK(records->machine_checks(tenant, "web").learn_from_ms == 8);
  }
}

TEST_CASE("old test boots of a machine grow thin, and end; those of others stay", "[catalog]") {
  auto fresh = make_catalog(GENERATE(from_range(catalog_kinds())));
  VerificationRecords& records = fresh->get();
  const TenantName tenant(kDefaultTenant);
  auto add = [&](const std::string& machine, uint64_t time_ms) {
    return records.add_verification(make_verification(machine, "pass", time_ms),
                                    {{5, "login:", {1, 2, 3}}});
  };
  int64_t other = add("other", kDay);
  int64_t first = add("web", kDay), second = add("web", 300 * kDay);
  for (int64_t i = 0; i + 1 < VerificationRecords::kFullTestBootsKept; ++i) add("web", 400 * kDay);
  CHECK(records.verification_pictures(first).empty());
  CHECK(records.verification(tenant, first).evidence == "[]");
  CHECK(records.verification(tenant, first).serial.empty());
  CHECK(records.verification_pictures(second).size() == 1);
  int64_t last = add("web", 402 * kDay);
  // No clock decides by itself: the caller says from when on they may go.
  CHECK(records.verification(tenant, first).number == first);
  records.forget_test_boots(2 * kDay);
  CHECK(code_of([&] { records.verification(tenant, first); }) == ErrorCode::not_found);
  CHECK(records.verification(tenant, second).serial.empty());
  CHECK(records.verification(tenant, last).picture_count == 1);
  CHECK(records.verification(tenant, other).picture_count == 1);

  // A guest that shows noise fills no disk: the pictures of older test boots go.
  Verification noise = records.verification(tenant, last);
  base::Bytes large(static_cast<size_t>(VerificationRecords::kPicturesSize / 4), 7);
  std::vector<int64_t> numbers;
  for (int i = 0; i < 6; ++i) numbers.push_back(records.add_verification(noise, {{5, "", large}}));
  CHECK(records.verification_pictures(numbers[5]).size() == 1);
  CHECK(records.verification_pictures(numbers[2]).size() == 1);
  CHECK(records.verification_pictures(numbers[1]).empty());
  CHECK(records.verification_pictures(last).empty());
  CHECK(records.verification(tenant, other).picture_count == 1);
}

}  // namespace appliance::catalog
