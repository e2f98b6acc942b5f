#include "base/clean_text.h"

#include <algorithm>
#include <cctype>

#include "base/text.h"

namespace base {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd", kEllipsis = "\xe2\x80\xa6";

// Bytes of the UTF-8 character that begins here; 0 if none does.
size_t character_size(std::string_view text) {
  auto first = static_cast<unsigned char>(text.front());
  size_t size = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  return size <= text.size() && size != 0 && is_valid_utf8(text.substr(0, size)) ? size : 0;
}

// The line of TOML's first non-ASCII character outside of strings and comments; 0: none.
size_t line_of_bare_character(std::string_view text) {
  size_t line = 1;
  std::string_view quote;  // of the open string; "#": a comment
  while (!text.empty()) {
    size_t taken = 1;
    if (text.front() == '\n') ++line;
    if (quote.empty()) {
      if (static_cast<unsigned char>(text.front()) >= 0x80) return line;
      for (std::string_view each : {"\"\"\"", "\'\'\'", "\"", "\'", "#"}) {
        if (!text.starts_with(each)) continue;
        quote = each;
        taken = each.size();
        break;
      }
    } else if (quote.front() == '"' && text.front() == '\\' && text.size() > 1 && text[1] != '\n') {
      taken = 2;
    } else if (quote.size() == 3
                   ? text.starts_with(quote)
                   : text.front() == '\n' || (quote != "#" && text.front() == quote.front())) {
      taken = quote.size() == 3 ? 3 : 1;
      quote = {};
    }
    text.remove_prefix(taken);
  }
  return 0;
}

}  // namespace

std::string clean_text(std::string_view text, size_t limit) {
  std::string clean;
  size_t cut = 0;  // where the ellipsis would start
  while (!text.empty()) {
    size_t size = character_size(text);
    auto c = static_cast<unsigned char>(text.front());
    std::string_view piece = size == 0 ? kReplacement : text.substr(0, size);
    if (c < ' ' || c == 0x7f) piece = " ";
    if (clean.size() + piece.size() > limit) {
      clean.resize(cut);
      return limit < kEllipsis.size() ? clean : clean.append(kEllipsis);
    }
    clean += piece;
    if (clean.size() + kEllipsis.size() <= limit) cut = clean.size();
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return clean;
}

std::string toml_obstacle(std::string_view text) {
  auto is_control = [](char c) {
    return (static_cast<unsigned char>(c) < ' ' && c != '\t' && c != '\n' && c != '\r') ||
           c == 0x7f;
  };
  if (std::any_of(text.begin(), text.end(), is_control) || !is_valid_utf8(text))
    return "it contains bytes that are not text (UTF-8 without control characters)";
  size_t number = 0;
  if (size_t line = line_of_bare_character(text); line != 0) {
    return "line " + std::to_string(line) +
           ": a character that is not ASCII is outside of quotes and comments";
  }
  for (const std::string& line : split(text, '\n')) {
    ++number;
    size_t at = line.find_first_not_of(" \t");
    if (at == std::string::npos || line[at] != '[') continue;
    at += at + 1 < line.size() && line[at + 1] == '[' ? 2 : 1;
    at = line.find_first_not_of(" \t\r", at);
    bool is_name = at != std::string::npos &&
                   (std::isalnum(static_cast<unsigned char>(line[at])) != 0 ||
                    std::string_view("_-\"'").find(line[at]) != std::string_view::npos);
    if (!is_name) return "line " + std::to_string(number) + ": '[' without a name after it";
  }
  return "";
}

}  // namespace base
