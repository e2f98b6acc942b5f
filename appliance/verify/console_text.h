// What the text of a console means: a login prompt, a panic, a lost boot loader. The text comes
// from a guest or from text recognition, which confuses 0 with O and 1 with l; so it is compared
// ignoring case and that difference. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "appliance/verify/evidence.h"

namespace appliance::verify {

struct TextReading {
  TextMeaning meaning = TextMeaning::nothing;
  std::string line;  // the decisive line, printable, at most 160 bytes
};

// If several phrases are in the text the last one counts: it is what happened last.
TextReading read_console(std::string_view text);

// Without control characters and terminal escapes, lines kept; valid UTF-8.
std::string plain_text(std::string_view text);

}  // namespace appliance::verify
