#include "base/bytes.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/error.h"

namespace base {

static_assert(std::endian::native == std::endian::little, "formats are copied as little-endian");

std::string to_hex(ByteView bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (uint8_t byte : bytes) {
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 15]);
  }
  return out;
}

Bytes from_hex(std::string_view text, size_t size) {
  auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  Bytes out;
  bool good = text.size() == size * 2;
  for (size_t i = 0; good && i < text.size(); i += 2) {
    int high = digit(text[i]), low = digit(text[i + 1]);
    good = high >= 0 && low >= 0;
    out.push_back(static_cast<uint8_t>(high << 4 | low));
  }
  if (!good) {
    throw Error(ErrorCode::invalid_argument, "'" + std::string(text.substr(0, 80)) + "' is not " +
                                                 std::to_string(size * 2) + " hexadecimal digits");
  }
  return out;
}

bool is_all_zero(ByteView bytes) {
  // A buffer is zero if its first 16 bytes are zero and it equals itself shifted by 16: memcmp is
  // vectorised.
  constexpr size_t kHead = 16;
  size_t head = std::min(kHead, bytes.size());
  for (size_t i = 0; i < head; ++i) {
    if (bytes[i] != 0) return false;
  }
  if (bytes.size() <= kHead) return true;
  return std::memcmp(bytes.data(), bytes.data() + kHead, bytes.size() - kHead) == 0;
}

ByteView ByteReader::view(uint64_t size) {
  if (size > remaining()) fail("ends too early");
  ByteView out = input_.subspan(offset_, size);
  offset_ += size;
  return out;
}

uint8_t ByteReader::u8() { return view(1)[0]; }

uint16_t ByteReader::u16() {
  ByteView bytes = view(2);
  return static_cast<uint16_t>(bytes[0] | bytes[1] << 8);
}

uint32_t ByteReader::u32() { return load_u32(view(4).data()); }

uint64_t ByteReader::u64() { return load_u64(view(8).data()); }

std::string ByteReader::string(uint32_t limit) {
  uint32_t size = u32();
  if (size > limit) fail("holds a string of " + std::to_string(size) + " bytes");
  return std::string(as_text(view(size)));
}

void ByteReader::expect_end() const {
  if (remaining() != 0) fail("has " + std::to_string(remaining()) + " bytes too many");
}

void ByteReader::fail(std::string_view problem) const {
  throw Error(ErrorCode::corrupt, what_ + " " + std::string(problem));
}

void store_u32(uint8_t* to, uint32_t value) { std::memcpy(to, &value, sizeof value); }
void store_u64(uint8_t* to, uint64_t value) { std::memcpy(to, &value, sizeof value); }

uint32_t load_u32(const uint8_t* from) {
  uint32_t value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

uint64_t load_u64(const uint8_t* from) {
  uint64_t value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

}  // namespace base
