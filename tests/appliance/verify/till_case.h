// A machine that is up and shows a screen that no phrase knows, as a case with a lesson.
#pragma once

#include <string>

#include "appliance/verify/verdict_case.h"

namespace appliance::verify {

inline const std::string kTillScreen =
    "ACME till 4             10:21:33\n"
    "Drawer closed. Ready for the next customer.\n"
    "Service: help@acme.example, Mon 0 89 1234\n";

inline VerdictCase till_case() {
  VerdictCase seen;
  seen.label = "pass";
  seen.said = "inconclusive";
  seen.corrected = true;
  seen.judging.evidence.observations = {
      {.at_ms = 4000,
       .signal = Signal::screen,
       .detail = "Booting from Hard Disk...",
       .meaning = TextMeaning::booting},
      {.at_ms = 15'000,
       .signal = Signal::screen,
       .detail = "Drawer closed. Ready for the next customer.",
       .meaning = TextMeaning::other},
  };
  seen.judging.evidence.last_change_ms = 15'000;
  seen.judging.evidence.last_read_ms = 12'000;
  seen.judging.judged_at_ms = 60'000;
  seen.judging.rule = VerdictRule::still;
  seen.judging.taught.names = {"till4"};
  seen.lesson = {{3, true, lesson_of(kTillScreen, {true, false, "", {"till4"}}).lines, {}}};
  seen.screens = {{4000, "Booting from Hard Disk...\n"}, {15'000, kTillScreen}};
  return seen;
}

}  // namespace appliance::verify
