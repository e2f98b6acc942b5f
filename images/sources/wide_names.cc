#include "images/sources/wide_names.h"

#include <cstdint>

namespace images {
namespace {

void append_code_point(uint32_t code, std::string& out) {
  auto add = [&](uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    add(code);
  } else if (code < 0x800) {
    add(0xc0 | code >> 6);
    add(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    add(0xe0 | code >> 12);
    add(0x80 | (code >> 6 & 0x3f));
    add(0x80 | (code & 0x3f));
  } else {
    add(0xf0 | code >> 18);
    add(0x80 | (code >> 12 & 0x3f));
    add(0x80 | (code >> 6 & 0x3f));
    add(0x80 | (code & 0x3f));
  }
}

}  // namespace

std::string text_of_wide(std::string_view bytes, WideOrder order) {
  auto unit_at = [&](size_t i) -> uint32_t {
    uint32_t first = static_cast<uint8_t>(bytes[i]), second = static_cast<uint8_t>(bytes[i + 1]);
    return order == WideOrder::big ? first << 8 | second : second << 8 | first;
  };
  std::string text;
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
    uint32_t unit = unit_at(i);
    if (unit == 0) break;
    bool is_high = unit >= 0xd800 && unit < 0xdc00, is_low = unit >= 0xdc00 && unit < 0xe000;
    uint32_t next = is_high && i + 3 < bytes.size() ? unit_at(i + 2) : 0;
    if (is_high && next >= 0xdc00 && next < 0xe000) {
      append_code_point(0x10000 + ((unit - 0xd800) << 10) + (next - 0xdc00), text);
      i += 2;
    } else {
      append_code_point(is_high || is_low ? '?' : unit, text);
    }
  }
  return text;
}

}  // namespace images
