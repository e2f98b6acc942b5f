// Verdicts on starts that stand still or repeat themselves, and what the reasons say beside them.
#include <catch2/catch.hpp>

#include <algorithm>

#include "appliance/verify/verdict.h"

namespace appliance::verify {
namespace {

const VerdictLimits kLimits;

Observation text(uint64_t at_ms, TextMeaning meaning) {
  return {.at_ms = at_ms, .signal = Signal::screen, .detail = "the line", .meaning = meaning};
}

Evidence evidence_of(std::vector<Observation> observations) {
  Evidence evidence;
  for (Observation& each : observations) {
    evidence.last_change_ms = evidence.last_read_ms = evidence.last_news_ms = each.at_ms;
    evidence.add(std::move(each));
  }
  return evidence;
}

}  // namespace

TEST_CASE("a start that stands still on a starved appliance is inconclusive", "[verify]") {
  Evidence evidence = evidence_of({text(900, TextMeaning::booting)});
  auto verdict = judge(evidence, {}, kLimits, 46'000);
  REQUIRE(verdict);
  CHECK(verdict->kind == VerdictKind::fail);
  // It had half of the time: it gets it again.
  evidence.starved_ms = 23'000;
  CHECK_FALSE(judge(evidence, {}, kLimits, 46'000));
  evidence.starved_ms = 34'000;
  verdict = judge(evidence, {}, kLimits, 80'000);
  REQUIRE(verdict);
  CHECK(verdict->kind == VerdictKind::fail);
  // It had next to none, for three minutes.
  evidence.starved_ms = 170'000;
  CHECK_FALSE(judge(evidence, {}, kLimits, 180'000));
  evidence.last_news_ms = 2000;
  verdict = judge(evidence, {}, kLimits, 181'000);
  REQUIRE(verdict);
  CHECK(verdict->kind == VerdictKind::inconclusive);
  CHECK(verdict->reasons.front().find("waited 2 min 50 s for a processor") != std::string::npos);
}

TEST_CASE("what repeats itself is judged three minutes after the last news", "[verify]") {
  Evidence evidence = evidence_of({text(10'000, TextMeaning::other)});
  evidence.screen = "reads: \"the line\"";
  for (uint64_t now = 10'000; now < 190'000; now += 500) {
    evidence.last_change_ms = now;  // a spinner, a trickle of writes
    CHECK_FALSE(judge(evidence, {}, kLimits, now));
  }
  evidence.last_change_ms = 190'000;
  auto verdict = judge(evidence, {}, kLimits, 190'000);
  REQUIRE(verdict);
  CHECK(verdict->kind == VerdictKind::inconclusive);
  CHECK(verdict->reasons.at(1) == "The screen reads: \"the line\".");
  // Without a word the screen is described.
  evidence = {};
  evidence.last_change_ms = 190'000;
  evidence.screen = "is dark, or has a single colour";
  verdict = judge(evidence, {}, kLimits, 190'000);
  REQUIRE(verdict);
  CHECK(verdict->reasons.at(1) == "The screen is dark, or has a single colour.");
}

TEST_CASE("what the disks hold is among the reasons", "[verify]") {
  Observation system{.signal = Signal::system, .subject = "vg0/root", .detail = "Debian"};
  Observation remark{.signal = Signal::remark, .detail = "A sentence."};
  auto verdict =
      judge(evidence_of({system, remark, text(1000, TextMeaning::login)}), {}, kLimits, 5000);
  REQUIRE(verdict);
  CHECK(verdict->kind == VerdictKind::pass);
  auto has = [&](const char* words) {
    return std::count(verdict->reasons.begin(), verdict->reasons.end(), words) == 1;
  };
  CHECK(has("vg0/root holds Debian."));
  CHECK(has("A sentence."));
}

}  // namespace appliance::verify
