#include "appliance/verify/verdict_review.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "base/json_access.h"
#include "tests/appliance/catalog/catalogs.h"
#include "tests/appliance/verify/till_case.h"

namespace appliance::verify {
namespace {

using base::ErrorCode;
using catalog::code_of;

const std::string kRoot = "root";

class Review {
 public:
  // Adds a test boot of "till4" that was judged from the case.
  int64_t add(const VerdictCase& from, const std::string& serial = "") {
    catalog::Verification seen;
    seen.tenant = access::TenantName(access::kDefaultTenant);
    seen.machine_name = "till4";
    seen.point = images::PointId::random();
    seen.why = "nightly";
    seen.verdict = from.said;
    seen.reasons = R"(["There is no certain sign of life."])";
    seen.checks = "[]";
    seen.evidence = observations_text(from.judging.evidence);
    seen.judging = judging_text(from.judging);
    seen.serial = serial;
    std::vector<catalog::VerificationPicture> pictures;
    for (const CaseScreen& each : from.screens) pictures.push_back({each.at_ms, each.text, {1}});
    return fresh->get().add_verification(seen, pictures);
  }

  std::unique_ptr<catalog::FreshCatalog> fresh =
      catalog::make_catalog(catalog::catalog_kinds().front());
  VerdictReview review{fresh->get()};
  const access::TenantName tenant{access::kDefaultTenant};
};

CorrectionOrder order_of(VerdictKind verdict) {
  return {verdict, "the till is up", true, false, ""};
}

}  // namespace

TEST_CASE("an explanation names the rule and the signals that decided", "[verify]") {
  Review world;
  int64_t number = world.add(till_case());
  Explanation known = world.review.explain(world.tenant, number);
  REQUIRE(known.judging);
  CHECK(known.judging->rule == VerdictRule::still);
  REQUIRE(known.again);
  CHECK(known.again->kind == VerdictKind::inconclusive);
  CHECK(known.again->decided_by == std::vector<size_t>{1});
  CHECK(code_of([&] { world.review.explain(world.tenant, number + 1); }) == ErrorCode::not_found);
}

TEST_CASE("a correction teaches the machine's next test boots, and can be taken back", "[verify]") {
  Review world;
  int64_t number = world.add(till_case());
  CorrectionResult result =
      world.review.correct(world.tenant, number, order_of(VerdictKind::pass), kRoot);
  CHECK(result.seen.verdict == "pass");
  CHECK_THAT(result.seen.reasons, Catch::Contains("root corrected this from inconclusive to pass"));
  CHECK_THAT(result.seen.reasons, Catch::Contains("no certain sign of life"));
  REQUIRE(result.taught);
  CHECK(result.note.empty());
  CHECK_THAT(result.taught->lines, Catch::Contains("drawer closed ready for the next customer"));
  CHECK(world.fresh->get().taught_rules(world.tenant, "till4").size() == 1);

  // The next test boot shows the same screen at another time.
  VerdictCase next = till_case();
  next.lesson.clear();
  next.judging.taught.rules = {{result.taught->number, true, {}, {}}};
  for (const auto& line : base::parse_json(result.taught->lines, "lines"))
    next.judging.taught.rules[0].lines.push_back(line.get<std::string>());
  next.screens[1].text =
      "ACME till 4             23:59:01\nDrawer closed. Ready for the next customer.\n"
      "Service: help@acme.example, Tue 0 89 4321\n";
  CHECK(replay(next, Replay::untaught)->kind == VerdictKind::pass);

  ExportedCase exported = world.review.export_case(world.tenant, number);
  CHECK(exported.seen.label == "pass");
  CHECK(exported.seen.said == "inconclusive");
  CHECK(exported.note.empty());
  CHECK_FALSE(exported.replacements.empty());
  CHECK(case_text(exported.seen).find("rawer") == std::string::npos);
  CHECK(replay(exported.seen, Replay::taught)->kind == VerdictKind::pass);

  world.fresh->get().withdraw_correction(world.tenant, number);
  CHECK(world.review.explain(world.tenant, number).seen.verdict == "inconclusive");
  CHECK(world.fresh->get().taught_rules(world.tenant, "till4").empty());
}

TEST_CASE("a correction is refused without a reason, and says what it cannot teach", "[verify]") {
  Review world;
  int64_t number = world.add(till_case());
  auto code = [&](const CorrectionOrder& order) {
    return code_of([&] { world.review.correct(world.tenant, number, order, kRoot); });
  };
  CorrectionOrder order = order_of(VerdictKind::inconclusive);
  CHECK(code(order) == ErrorCode::invalid_argument);
  order = order_of(VerdictKind::pass);
  order.reason = " \n";
  CHECK(code(order) == ErrorCode::invalid_argument);
  order.reason = std::string(VerdictReview::kMaxReason + 1, 'x');
  CHECK(code(order) == ErrorCode::invalid_argument);
  order = order_of(VerdictKind::pass);
  order.only_text = "never shown";
  CHECK(code(order) == ErrorCode::invalid_argument);
  CHECK_FALSE(world.review.explain(world.tenant, number).seen.correction);

  VerdictCase dark = till_case();
  dark.screens = {{4000, ""}};
  number = world.add(dark);
  CorrectionResult result =
      world.review.correct(world.tenant, number, order_of(VerdictKind::pass), kRoot);
  CHECK(result.seen.verdict == "pass");
  CHECK_FALSE(result.taught);
  CHECK_THAT(result.note, Catch::Contains("Nothing was taught."));

  // Damage is not a text: the person's word counts, and the next test boot may say the same.
  VerdictCase damaged = till_case();
  damaged.said = "fail";
  damaged.judging.rule = VerdictRule::damage;
  number = world.add(damaged);
  result = world.review.correct(world.tenant, number, order_of(VerdictKind::pass), kRoot);
  CHECK_THAT(result.note, Catch::Contains("no text changes that rule"));

  // Words of trouble beside what is taught are named.
  VerdictCase trouble = till_case();
  trouble.said = "fail";
  trouble.screens[1].text += "EXT4-fs error (device sda1): ext4_find_entry: bad entry\n";
  number = world.add(trouble);
  result = world.review.correct(world.tenant, number, order_of(VerdictKind::pass), kRoot);
  CHECK_THAT(result.note, Catch::Contains("--outvote-trouble"));
}

TEST_CASE("the serial console teaches where the screen says nothing", "[verify]") {
  Review world;
  VerdictCase dark = till_case();
  dark.screens = {{4000, ""}};
  int64_t number = world.add(dark, "[  1.0] boot\nAppliance ready, console is disabled.\n");
  CorrectionResult result =
      world.review.correct(world.tenant, number, order_of(VerdictKind::pass), kRoot);
  REQUIRE(result.taught);
  CHECK_THAT(result.taught->lines, Catch::Contains("appliance ready"));
}

TEST_CASE("a test boot of an older version is corrected, but neither explained nor exported",
          "[verify]") {
  Review world;
  catalog::Verification old;
  old.tenant = access::TenantName(access::kDefaultTenant);
  old.machine_name = "till4";
  old.point = images::PointId::random();
  old.verdict = "inconclusive";
  old.reasons = old.checks = old.evidence = "[]";
  int64_t number = world.fresh->get().add_verification(old, {{5, kTillScreen, {1}}});
  CHECK_FALSE(world.review.explain(world.tenant, number).judging);
  CHECK(code_of([&] { world.review.export_case(world.tenant, number); }) ==
        ErrorCode::invalid_argument);
  CHECK(world.review.correct(world.tenant, number, order_of(VerdictKind::pass), kRoot).taught);
}

}  // namespace appliance::verify
