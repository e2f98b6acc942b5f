// Exported cases, replayed. Each case in tests/verification/cases must be judged as its label says;
// MULETTO_CASES names another folder.
#include "appliance/verify/verdict_case.h"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/file_system.h"
#include "tests/appliance/verify/till_case.h"

namespace appliance::verify {

TEST_CASE("every kept case is judged as its label says", "[verify]") {
  const char* given = std::getenv("MULETTO_CASES");
  std::filesystem::path folder =
      given != nullptr ? given : std::filesystem::path(MULETTO_TEST_DATA) / "verification/cases";
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".json") continue;
    INFO(entry.path().string());
    VerdictCase seen = read_case(base::as_text(
        base::read_file(base::real_file_system(), entry.path().string(), kMaxCaseSize)));
    auto verdict = replay(seen, Replay::taught);
    REQUIRE(verdict);
    INFO((verdict->reasons.empty() ? "" : verdict->reasons.front()));
    CHECK(verdict_name(verdict->kind) == seen.label);
    ++count;
  }
  if (given == nullptr) CHECK(count > 0);
}

TEST_CASE("a case is the same after it was written and read", "[verify]") {
  VerdictCase seen = till_case();
  VerdictCase again = read_case(case_text(seen));
  CHECK(case_text(again) == case_text(seen));
  CHECK(again.judging.evidence.observations.size() == 2);
  CHECK(again.lesson.front().lines == seen.lesson.front().lines);
}

TEST_CASE("a replay reads screens again, with what a person taught and without", "[verify]") {
  VerdictCase seen = till_case();
  auto untaught = replay(seen, Replay::untaught);
  REQUIRE(untaught);
  CHECK(untaught->kind == VerdictKind::inconclusive);
  CHECK(untaught->rule == VerdictRule::still);
  auto taught = replay(seen, Replay::taught);
  REQUIRE(taught);
  CHECK(taught->kind == VerdictKind::pass);
  CHECK_THAT(taught->reasons.front(), Catch::Contains("rule 3"));

  // The same screen with the kernel's trouble on the serial line stays a fail.
  seen.judging.evidence.observations.push_back(
      {.at_ms = 14'000,
       .signal = Signal::serial,
       .detail = "Kernel panic - not syncing: Fatal exception",
       .meaning = TextMeaning::kernel_panic});
  CHECK(replay(seen, Replay::taught)->kind == VerdictKind::fail);
}

TEST_CASE("neutral words change nothing about a case", "[verify]") {
  VerdictCase seen = till_case();
  Anonymizer anonymizer({"till4", "acme"});
  anonymize(seen, anonymizer);
  std::string text = case_text(seen);
  for (const char* secret : {"acme", "Acme", "ACME", " till", "Drawer", "drawer", "customer"}) {
    INFO(secret);
    CHECK(text.find(secret) == std::string::npos);
  }
  CHECK(replay(seen, Replay::untaught)->kind == VerdictKind::inconclusive);
  CHECK(replay(seen, Replay::taught)->kind == VerdictKind::pass);
}

TEST_CASE("what is not a case is refused with a sentence", "[verify]") {
  std::string good = case_text(till_case());
  for (size_t size = 0; size + 2 < good.size(); size += 7)
    CHECK_THROWS_AS(read_case(std::string_view(good).substr(0, size)), base::Error);
  auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
  };
  CHECK_THROWS_AS(read_case(with("\"case\": 1", "\"case\": 2")), base::Error);
  CHECK_THROWS_AS(read_case(with("\"label\": \"pass\"", "\"label\": \"yes\"")), base::Error);
  CHECK_THROWS_AS(read_case(with("\"signal\": \"screen\"", "\"signal\": \"smell\"")), base::Error);
  CHECK_THROWS_AS(read_case(with("\"judged_at_ms\": 60000", "\"judged_at_ms\": 1e30")),
                  base::Error);
  CHECK_THROWS_AS(read_case(with("\"judged_at_ms\": 60000", "\"judged_at_ms\": 9000000000000000")),
                  base::Error);
}

}  // namespace appliance::verify
