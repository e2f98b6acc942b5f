// Words from outside (a guest, a definition, a program's output), made fit to be shown and kept.
// Pure functions.
#pragma once

#include <string>
#include <string_view>

namespace base {

// Valid UTF-8 without control characters: each broken byte is U+FFFD, each control character a
// space. At most `limit` bytes, the last three of which are "…" if something was cut off.
std::string clean_text(std::string_view text, size_t limit);

// What of a file of settings its parser (toml++ 3.0) does not survive, as words for a person: bytes
// that are no text, a table's name that begins with a sign, letters beyond ASCII outside of quotes
// and comments. Empty if there is nothing.
std::string toml_obstacle(std::string_view text);

}  // namespace base
