#include "images/files/readers/text_values.h"

#include <sys/stat.h>

#include <cstdint>

namespace images::files {
namespace {

void append(std::string& out, uint32_t character) {
  auto put = [&](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (character < 0x80) {
    put(character);
  } else if (character < 0x800) {
    put(0xc0 | character >> 6);
    put(0x80 | (character & 0x3f));
  } else if (character < 0x10000) {
    put(0xe0 | character >> 12);
    put(0x80 | (character >> 6 & 0x3f));
    put(0x80 | (character & 0x3f));
  } else {
    put(0xf0 | character >> 18);
    put(0x80 | (character >> 12 & 0x3f));
    put(0x80 | (character >> 6 & 0x3f));
    put(0x80 | (character & 0x3f));
  }
}

}  // namespace

std::string uuid_text(base::ByteView bytes) {
  std::string hex = base::to_hex(bytes), text;
  for (size_t i = 0; i < hex.size(); ++i) {
    if (i == 8 || i == 12 || i == 16 || i == 20) text.push_back('-');
    text.push_back(hex[i]);
  }
  return text;
}

std::string utf8_of_utf16(base::ByteView bytes) {
  std::string out;
  auto unit = [&](size_t at) { return static_cast<uint32_t>(bytes[at] | bytes[at + 1] << 8); };
  for (size_t at = 0; at + 1 < bytes.size(); at += 2) {
    uint32_t first = unit(at);
    bool is_high = first >= 0xd800 && first < 0xdc00;
    uint32_t second = is_high && at + 3 < bytes.size() ? unit(at + 2) : 0;
    if (is_high && second >= 0xdc00 && second < 0xe000) {
      append(out, 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00));
      at += 2;
    } else {
      append(out, first);
    }
  }
  return out;
}

NodeKind kind_of_mode(uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG: return NodeKind::file;
    case S_IFDIR: return NodeKind::folder;
    case S_IFLNK: return NodeKind::link;
    case S_IFCHR: return NodeKind::character_device;
    case S_IFBLK: return NodeKind::block_device;
    case S_IFIFO: return NodeKind::fifo;
    case S_IFSOCK: return NodeKind::socket;
    default: return NodeKind::unknown;
  }
}

}  // namespace images::files
