// File names as text. A name is bytes: any but '/' and NUL. As text it is UTF-8 without control
// characters, and each byte that does not fit (a control character, a part of invalid UTF-8, and
// '%' itself) is written as "%" and two upper-case hexadecimal digits. So each name has exactly one
// text, and each text one name: "100%" is "100%25", "a<newline>b" is "a%0Ab". Also for whole paths.
// Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace images::files {

std::string text_of_name(std::string_view name);
// Throws invalid_argument for a broken %-escape and for NUL.
std::string name_of_text(std::string_view text);

// The parts of a path, empty ones left out. Throws invalid_argument for "." and "..", and for more
// than kMaxDepth parts.
std::vector<std::string> parts_of_path(std::string_view path);

// Whether something may have this name within a folder: not empty, not "." or "..", without '/' and
// NUL, at most kMaxName bytes.
bool is_plain_name(std::string_view name);

// Whether `name` matches a pattern of '*', '?' and "[a-z]"; a pattern without any of these matches
// names that contain it. `ignore_case` treats letters of any script by their simple case (ASCII
// only where the name is not UTF-8). Takes at most time in proportion to both lengths' product.
bool matches(std::string_view pattern, std::string_view name, bool ignore_case);

}  // namespace images::files
