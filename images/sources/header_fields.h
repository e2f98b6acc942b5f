// Numbers in the headers of image files, which are of either byte order. A value; thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace images {

// `bytes` must outlive it. Numbers beyond their end are 0.
class HeaderFields {
 public:
  explicit HeaderFields(std::string_view bytes) : bytes_(bytes) {}
  uint64_t big_endian(size_t offset, size_t size) const { return number(offset, size, true); }
  uint64_t little_endian(size_t offset, size_t size) const { return number(offset, size, false); }

 private:
  uint64_t number(size_t offset, size_t size, bool big) const {
    if (offset > bytes_.size() || size > bytes_.size() - offset) return 0;
    uint64_t value = 0;
    for (size_t i = 0; i < size; ++i) {
      size_t at = big ? offset + i : offset + size - 1 - i;
      value = value << 8 | static_cast<uint8_t>(bytes_[at]);
    }
    return value;
  }
  std::string_view bytes_;
};

}  // namespace images
