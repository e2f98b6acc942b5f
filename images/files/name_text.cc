#include "images/files/name_text.h"

#include <fmt/format.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include "base/error.h"
#include "images/files/node.h"

namespace images::files {
namespace {

using base::Error;
using base::ErrorCode;

// The next character; negative for an invalid byte, of which one is passed.
UChar32 next_character(std::string_view text, size_t& at) {
  int32_t place = 0;
  auto rest = static_cast<int32_t>(std::min<size_t>(text.size() - at, 4));
  const char* begin = text.data() + at;
  UChar32 character;
  U8_NEXT(begin, place, rest, character);
  at += character < 0 ? 1 : static_cast<size_t>(place);
  return character;
}

bool is_control(UChar32 character) {
  if (character < 0x20 || (character >= 0x7f && character < 0xa0)) return true;
  // Line separators, and marks that change the direction of what follows.
  return character == 0x2028 || character == 0x2029 ||
         (character >= 0x202a && character <= 0x202e) ||
         (character >= 0x2066 && character <= 0x2069);
}

int hex_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  return -1;
}

std::vector<UChar32> characters_of(std::string_view text, bool ignore_case) {
  std::vector<UChar32> out;
  for (size_t at = 0; at < text.size();) {
    size_t before = at;
    UChar32 each = next_character(text, at);
    // An invalid byte is a character of its own, above all real ones.
    if (each < 0) each = 0x110000 + static_cast<uint8_t>(text[before]);
    else if (ignore_case) each = u_foldCase(each, U_FOLD_CASE_DEFAULT);
    out.push_back(each);
  }
  return out;
}

using Characters = std::vector<UChar32>;

// What one element of a pattern matches, and where the next one begins.
bool matches_one(const Characters& pattern, size_t at, UChar32 character, size_t& next) {
  next = at + 1;
  if (pattern[at] == '?') return true;
  if (pattern[at] != '[') return pattern[at] == character;
  bool is_negated = at + 1 < pattern.size() && pattern[at + 1] == '!';
  size_t begin = at + (is_negated ? 2 : 1), end = begin + 1;
  while (end < pattern.size() && pattern[end] != ']') ++end;
  if (end >= pattern.size()) return character == '[';  // not closed: an ordinary character
  next = end + 1;
  bool found = false;
  for (size_t i = begin; i < end; ++i) {
    if (i + 2 < end && pattern[i + 1] == '-') {
      found = found || (pattern[i] <= character && character <= pattern[i + 2]);
      i += 2;
    } else {
      found = found || pattern[i] == character;
    }
  }
  return found != is_negated;
}

}  // namespace

std::string text_of_name(std::string_view name) {
  std::string text;
  text.reserve(name.size());
  for (size_t at = 0; at < name.size();) {
    size_t before = at;
    UChar32 character = next_character(name, at);
    if (character >= 0 && character != '%' && !is_control(character)) {
      text.append(name.substr(before, at - before));
      continue;
    }
    for (size_t i = before; i < at; ++i)
      text += fmt::format("%{:02X}", static_cast<uint8_t>(name[i]));
  }
  return text;
}

std::string name_of_text(std::string_view text) {
  std::string name;
  name.reserve(text.size());
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      name.push_back(text[at]);
      continue;
    }
    bool is_whole = text.size() - at > 2;
    int high = is_whole ? hex_value(text[at + 1]) : -1,
        low = is_whole ? hex_value(text[at + 2]) : -1;
    if (high < 0 || low < 0)
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("the path '{}' has a '%' that is not followed by two hexadecimal "
                              "digits: write '%' itself as %25",
                              text_of_name(text.substr(0, 100))));
    name.push_back(static_cast<char>(high << 4 | low));
    at += 2;
  }
  if (name.find('\0') != std::string::npos)
    throw Error(ErrorCode::invalid_argument, "a path cannot contain a NUL byte");
  return name;
}

std::vector<std::string> parts_of_path(std::string_view path) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin < path.size();) {
    size_t end = std::min(path.find('/', begin), path.size());
    std::string_view part = path.substr(begin, end - begin);
    begin = end + 1;
    if (part.empty()) continue;
    if (!is_plain_name(part))
      throw Error(ErrorCode::invalid_argument,
                  "a path within a file system cannot contain '.' or '..': give it from the root "
                  "of the file system");
    parts.emplace_back(part);
    if (parts.size() > kMaxDepth)
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("the path has more than {} folders", kMaxDepth));
  }
  return parts;
}

bool is_plain_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxName && name != "." && name != ".." &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

bool matches(std::string_view pattern_text, std::string_view name_text, bool ignore_case) {
  std::string searched;
  if (pattern_text.find_first_of("*?[") == std::string_view::npos) {
    searched = "*" + std::string(pattern_text) + "*";
    pattern_text = searched;
  }
  Characters pattern = characters_of(pattern_text, ignore_case);
  Characters name = characters_of(name_text, ignore_case);
  // After a '*', what follows is tried at each place; only the last '*' has to be tried again.
  size_t at = 0, in_name = 0, star = pattern.size(), star_name = 0;
  bool has_star = false;
  while (in_name < name.size()) {
    size_t next = 0;
    if (at < pattern.size() && pattern[at] == '*') {
      has_star = true;
      star = ++at;
      star_name = in_name;
    } else if (at < pattern.size() && matches_one(pattern, at, name[in_name], next)) {
      at = next;
      ++in_name;
    } else if (has_star) {
      at = star;
      in_name = ++star_name;
    } else {
      return false;
    }
  }
  while (at < pattern.size() && pattern[at] == '*') ++at;
  return at == pattern.size();
}

}  // namespace images::files
