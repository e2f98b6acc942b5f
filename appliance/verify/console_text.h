// What the text of a console means: a login prompt, a panic, a lost boot loader. The text comes
// from a guest or from text recognition, which confuses 0 with O and 1 with l; so it is compared
// ignoring case and that difference. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/verify/evidence.h"

namespace appliance::verify {

// Lines are printable, at most 160 bytes.
struct TextReading {
  TextMeaning meaning = TextMeaning::nothing;
  std::string line;        // the decisive one
  std::string disk_error;  // the first that reports an error of a file system or a disk
  // The first that report a problem that does not keep the system from starting: failed units, an
  // oops. At most kMaxComplaints.
  std::vector<std::string> complaints;
  int64_t rule = 0;  // the taught rule that decided, or 0 (taught_text.h)
};
constexpr size_t kMaxComplaints = 5;

// If several phrases are in the text the last one counts: it is what happened last. Lines that mean
// nothing known replace an earlier "booting": what is on the screen now is quoted, not what was.
TextReading read_console(std::string_view text);

// The text without digits and what separates them: two screens that differ only in a clock are one.
std::string without_clock(std::string_view text);

// Whether the word is part of a phrase that read_console() knows: another word in its place could
// change what a text means. Letters only, in any case.
bool is_phrase_word(std::string_view word);

// Without control characters and terminal escapes, lines kept; valid UTF-8.
std::string plain_text(std::string_view text);

}  // namespace appliance::verify
