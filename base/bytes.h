// Byte buffers, and bounds-checked little-endian cursors for everything that is read from or
// written to a disk or the network. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace base {

using Bytes = std::vector<uint8_t>;
using ByteView = std::span<const uint8_t>;
using MutableByteView = std::span<uint8_t>;

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Lower-case hexadecimal.
std::string to_hex(ByteView bytes);

// Throws invalid_argument unless `text` is exactly 2 × size hexadecimal digits.
Bytes from_hex(std::string_view text, size_t size);

// True if every byte is zero; runs at memory speed.
bool is_all_zero(ByteView bytes);

// Reads values front to back; every read past the end throws corrupt, naming `what`.
// Views handed out point into the input, which must outlive them.
class ByteReader {
 public:
  ByteReader(ByteView input, std::string_view what) : input_(input), what_(what) {}

  uint8_t u8();
  uint16_t u16();
  uint32_t u32();
  uint64_t u64();
  ByteView view(uint64_t size);
  // A string preceded by a u32 length, at most `limit` bytes.
  std::string string(uint32_t limit);
  template <size_t kSize>
  std::array<uint8_t, kSize> array() {
    std::array<uint8_t, kSize> out;
    ByteView bytes = view(kSize);
    std::copy(bytes.begin(), bytes.end(), out.begin());
    return out;
  }

  uint64_t offset() const { return offset_; }
  uint64_t remaining() const { return input_.size() - offset_; }
  // Throws corrupt unless all input was read.
  void expect_end() const;
  // Throws corrupt, with this reader's name first.
  [[noreturn]] void fail(std::string_view problem) const;

 private:
  ByteView input_;
  std::string what_;
  uint64_t offset_ = 0;
};

// Appends values to a growing buffer.
class ByteWriter {
 public:
  void u8(uint8_t value) { bytes_.push_back(value); }
  void u16(uint16_t value) { put(value, 2); }
  void u32(uint32_t value) { put(value, 4); }
  void u64(uint64_t value) { put(value, 8); }
  void view(ByteView bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  // A u32 length, then the bytes.
  void string(std::string_view text) {
    u32(static_cast<uint32_t>(text.size()));
    view(as_bytes(text));
  }
  void zeros(size_t count) { bytes_.insert(bytes_.end(), count, 0); }

  size_t size() const { return bytes_.size(); }
  const Bytes& bytes() const { return bytes_; }
  Bytes take() { return std::move(bytes_); }

 private:
  void put(uint64_t value, int size) {
    for (int i = 0; i < size; ++i) bytes_.push_back(static_cast<uint8_t>(value >> (8 * i)));
  }
  Bytes bytes_;
};

// Little-endian values at a position the caller has checked.
void store_u32(uint8_t* to, uint32_t value);
void store_u64(uint8_t* to, uint64_t value);
uint32_t load_u32(const uint8_t* from);
uint64_t load_u64(const uint8_t* from);

}  // namespace base
