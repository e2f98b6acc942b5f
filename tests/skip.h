// Test cases that cannot run everywhere say so: the line "SKIP: NAME: REASON" on standard output,
// which scripts/test counts. Include it instead of returning from a test case without a word.
#pragma once

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <string>
#include <string_view>

namespace tests {

inline void report_skipped(std::string_view reason) {
  std::string name = Catch::getResultCapture().getCurrentTestName();
  std::printf("SKIP: %s: %.*s\n", name.c_str(), static_cast<int>(reason.size()), reason.data());
  std::fflush(stdout);
}

inline bool is_root() { return ::geteuid() == 0; }
// A sanitizer takes more address space than confined programs are allowed.
inline bool is_sanitized() { return std::string_view(MULETTO_SANITIZERS) != ""; }

}  // namespace tests

// Leaves the test case, unless the condition holds. Not inside a function that it calls.
#define SKIP_UNLESS(condition, reason) \
  if (!(condition)) {                  \
    ::tests::report_skipped(reason);   \
    return;                            \
  }
