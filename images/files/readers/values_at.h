// Values at positions of a buffer, checked: a position beyond its end throws corrupt.
// Functions; thread-safe.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/error.h"

namespace images::files {

// A part of a buffer; throws corrupt unless all of it is there.
inline base::ByteView part_of(base::ByteView bytes, uint64_t at, uint64_t size) {
  if (at > bytes.size() || size > bytes.size() - at)
    throw base::Error(base::ErrorCode::corrupt, "a structure of the file system is cut off");
  return bytes.subspan(at, size);
}

inline uint64_t big(base::ByteView bytes, uint64_t at, uint64_t size) {
  uint64_t value = 0;
  for (uint8_t each : part_of(bytes, at, size)) value = value << 8 | each;
  return value;
}
inline uint8_t u8_at(base::ByteView bytes, uint64_t at) { return part_of(bytes, at, 1)[0]; }
inline uint16_t big16(base::ByteView bytes, uint64_t at) {
  return static_cast<uint16_t>(big(bytes, at, 2));
}
inline uint32_t big32(base::ByteView bytes, uint64_t at) {
  return static_cast<uint32_t>(big(bytes, at, 4));
}
inline uint64_t big64(base::ByteView bytes, uint64_t at) { return big(bytes, at, 8); }

inline uint64_t little(base::ByteView bytes, uint64_t at, uint64_t size) {
  uint64_t value = 0;
  base::ByteView part = part_of(bytes, at, size);
  for (size_t i = part.size(); i-- > 0;) value = value << 8 | part[i];
  return value;
}
inline uint16_t little16(base::ByteView bytes, uint64_t at) {
  return static_cast<uint16_t>(little(bytes, at, 2));
}
inline uint32_t little32(base::ByteView bytes, uint64_t at) {
  return static_cast<uint32_t>(little(bytes, at, 4));
}
inline uint64_t little64(base::ByteView bytes, uint64_t at) { return little(bytes, at, 8); }

}  // namespace images::files
