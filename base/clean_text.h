// Text from outside (a guest, a definition, a program's output), made safe to show and store. Pure
// functions.
#pragma once

#include <string>
#include <string_view>

namespace base {

// Valid UTF-8 without control characters: each invalid byte becomes U+FFFD, each control character
// a space. At most `limit` bytes, the last three of which are "…" if something was truncated.
std::string clean_text(std::string_view text, size_t limit);

// A problem in a settings file that its parser (toml++ 3.0) would crash on, as a sentence for
// people: bytes that are not text, a table name that begins with a sign, non-ASCII letters outside
// of quotes and comments. Empty if there is none.
std::string toml_obstacle(std::string_view text);

}  // namespace base
