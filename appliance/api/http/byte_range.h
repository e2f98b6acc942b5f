// The header Range of a request (RFC 9110, 14.1.2), of one range of bytes. Pure functions.
#pragma once

#include <cstdint>
#include <string_view>

namespace appliance::api {

struct ByteRange {
  uint64_t offset = 0, length = 0;
};
enum class RangeResult {
  whole,       // there is no header, or one that is not understood
  part,        // `range` is it; it has at least one byte
  impossible,  // it lies outside
};
// Of something with `size` bytes: "bytes=FIRST-LAST", "bytes=FIRST-", "bytes=-COUNT". `range` is the
// whole unless the result is `part`.
RangeResult parse_range(std::string_view text, uint64_t size, ByteRange& range);

}  // namespace appliance::api
