// A test boot as a labelled case: what was observed, how it was judged, and what a person says. Cases
// leave the appliance without the client's data, and are kept as tests (tests/verification/cases):
// replay() feeds today's reading of consoles and today's rules from the case. The format is described
// in docs/verification.md. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/verify/anonymizer.h"
#include "appliance/verify/judging.h"

namespace appliance::verify {

struct CaseScreen {
  uint64_t at_ms = 0;  // since QEMU was started
  std::string text;    // as it was recognised
};

struct VerdictCase {
  std::string label;  // "pass", "fail" or "inconclusive": what is right
  std::string said;   // the verdict that was given
  bool corrected = false;
  Judging judging;                 // with the rules that were in force
  std::vector<TaughtText> lesson;  // what the correction taught
  std::vector<CaseScreen> screens;
  std::string serial;  // the end of the serial console's log
};

constexpr int kCaseVersion = 1;
constexpr size_t kMaxCaseSize = 64u << 20;  // bytes of a case's text

// Replaces in every text of the case what may be the client's.
void anonymize(VerdictCase& seen, Anonymizer& anonymizer);

std::string case_text(const VerdictCase& seen);  // JSON, for people to read, too
// Throws invalid_argument for text that is not a case of this version.
VerdictCase read_case(std::string_view text);

// Whether what a correction taught takes part.
enum class Replay { taught, untaught };
// The verdict of this program on the case; nothing if it would wait for ever.
std::optional<Verdict> replay(const VerdictCase& seen, Replay how);

}  // namespace appliance::verify
