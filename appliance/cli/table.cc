#include "appliance/cli/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/check.h"

namespace appliance::cli {
namespace {

struct Range {
  uint32_t first, last;
};

// East Asian Wide and Fullwidth (Unicode Standard Annex 11), in coarse blocks.
constexpr std::array<Range, 9> kWide{{{0x1100, 0x115F},
                                      {0x2E80, 0xA4CF},
                                      {0xAC00, 0xD7A3},
                                      {0xF900, 0xFAFF},
                                      {0xFE30, 0xFE6F},
                                      {0xFF00, 0xFF60},
                                      {0xFFE0, 0xFFE6},
                                      {0x1F300, 0x1FAFF},
                                      {0x20000, 0x3FFFD}}};
constexpr std::array<Range, 4> kCombining{
    {{0x0300, 0x036F}, {0x200B, 0x200F}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}}};

template <size_t kCount>
bool is_in(const std::array<Range, kCount>& ranges, uint32_t code) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const Range& range) { return code >= range.first && code <= range.last; });
}

// The next code point, and its length in bytes; an invalid byte stands for itself.
uint32_t next_code(std::string_view text, size_t& length) {
  auto lead = static_cast<uint8_t>(text.front());
  length = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (length == 1 || length > text.size()) {
    length = 1;
    return lead;
  }
  uint32_t code = lead & (0x7Fu >> length);
  for (size_t i = 1; i < length; ++i) code = code << 6 | (static_cast<uint8_t>(text[i]) & 0x3F);
  return code;
}

void append_cell(std::string& line, const std::string& cell, size_t width, Align align, bool last) {
  std::string padding(width - std::min(width, display_width(cell)), ' ');
  if (align == Align::right) line += padding;
  line += cell;
  if (align == Align::left && !last) line += padding;
  if (!last) line += "  ";
}

}  // namespace

size_t display_width(std::string_view text) {
  size_t width = 0, length = 0;
  for (; !text.empty(); text.remove_prefix(length)) {
    uint32_t code = next_code(text, length);
    width += is_in(kCombining, code) ? 0 : is_in(kWide, code) ? 2 : 1;
  }
  return width;
}

std::string printable(std::string_view text) {
  std::string out;
  size_t length = 0;
  for (; !text.empty(); text.remove_prefix(length)) {
    uint32_t code = next_code(text, length);
    bool control = code < 0x20 || (code >= 0x7F && code < 0xA0);
    if (control) {
      out.push_back('?');
    } else {
      out.append(text.substr(0, length));
    }
  }
  return out;
}

void Table::add(std::vector<std::string> cells) {
  CHECK(cells.size() == columns_.size());
  for (std::string& cell : cells) cell = printable(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::text() const {
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    size_t width = display_width(columns_[i].title);
    for (const auto& row : rows_) width = std::max(width, display_width(row[i]));
    widths.push_back(width);
  }
  std::string out;
  auto append_line = [&](auto&& cell_at) {
    for (size_t i = 0; i < columns_.size(); ++i) {
      append_cell(out, cell_at(i), widths[i], columns_[i].align, i + 1 == columns_.size());
    }
    out += '\n';
  };
  append_line([&](size_t i) { return columns_[i].title; });
  for (const auto& row : rows_) append_line([&](size_t i) { return row[i]; });
  return out;
}

void Table::print(std::string_view when_empty) const {
  if (rows_.empty()) {
    fmt::print("{}\n", when_empty);
  } else {
    fmt::print("{}", text());
  }
}

void Sheet::add(std::string name, std::string value) {
  lines_.emplace_back(std::move(name), std::move(value));
}

void Sheet::print() const {
  size_t width = 0;
  for (const auto& [name, value] : lines_) width = std::max(width, display_width(name));
  for (const auto& [name, value] : lines_) {
    fmt::print("{}:{} {}\n", name, std::string(width - display_width(name) + 1, ' '),
               printable(value));
  }
}

}  // namespace appliance::cli
