#include "appliance/api/routes/file_streams.h"

#include <catch2/catch.hpp>

namespace appliance::api {

TEST_CASE("a Range of bytes is understood, and others mean the whole file", "[api]") {
  ByteRange range;
  CHECK(parse_range("", 100, range) == RangeResult::whole);
  CHECK(range.length == 100);
  CHECK(parse_range("bytes=10-19", 100, range) == RangeResult::part);
  CHECK(range.offset == 10);
  CHECK(range.length == 10);
  CHECK(parse_range("bytes=90-", 100, range) == RangeResult::part);
  CHECK(range.length == 10);
  CHECK(parse_range("bytes=90-5000", 100, range) == RangeResult::part);
  CHECK(range.length == 10);
  CHECK(parse_range("bytes=-7", 100, range) == RangeResult::part);
  CHECK(range.offset == 93);
  CHECK(parse_range("bytes=-700", 100, range) == RangeResult::part);
  CHECK(range.length == 100);
  CHECK(parse_range("bytes=100-", 100, range) == RangeResult::impossible);
  CHECK(parse_range("bytes=-0", 100, range) == RangeResult::impossible);
  CHECK(parse_range("bytes=0-", 0, range) == RangeResult::impossible);
  for (const char* other : {"bytes=5-4", "bytes=1-2,5-6", "lines=1-2", "bytes=a-b", "bytes=-", "bytes=1",
                            "bytes=99999999999999999999-"})
    CHECK(parse_range(other, 100, range) == RangeResult::whole);
}

}  // namespace appliance::api
