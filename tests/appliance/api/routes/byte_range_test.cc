#include <catch2/catch.hpp>

#include "appliance/api/http/byte_range.h"
#include "appliance/restores/restore_job.h"

namespace appliance::api {

TEST_CASE("one range of bytes", "[restore]") {
  auto is = [](std::string_view header, uint64_t size, uint64_t offset, uint64_t length) {
    ByteRange range;
    return parse_range(header, size, range) == RangeResult::part && range.offset == offset &&
           range.length == length;
  };
  CHECK(is("bytes=0-0", 100, 0, 1));
  CHECK(is("bytes=10-19", 100, 10, 10));
  CHECK(is("bytes=90-1000", 100, 90, 10));
  CHECK(is("bytes=10-", 100, 10, 90));
  CHECK(is("bytes=-5", 100, 95, 5));
  CHECK(is("bytes=-500", 100, 0, 100));
  CHECK(is("bytes=0-18446744073709551615", 100, 0, 100));
  // Outside: cannot be satisfied.
  ByteRange range;
  for (const char* header : {"bytes=100-", "bytes=100-200", "bytes=-0"})
    CHECK(parse_range(header, 100, range) == RangeResult::impossible);
  CHECK(parse_range("bytes=0-", 0, range) == RangeResult::impossible);
  // What a server ignores.
  for (const char* header :
       {"", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-1", "lines=0-1", "bytes=0-1,5-6",
        "bytes= 0-1", "bytes=+1-2", "bytes=1-2x", "bytes=99999999999999999999-", "bytes=--1"}) {
    CHECK(parse_range(header, 100, range) == RangeResult::whole);
    CHECK(range.length == 100);
  }
}

TEST_CASE("a restore's folder stays where it is", "[restore]") {
  for (const char* folder : {"out", "web friday", "a.b"})
    CHECK_NOTHROW(restores::check_folder(folder));
  for (const char* folder : {"", ".", "..", "../x", "a/b", "/etc", ".hidden", "a\nb"})
    CHECK_THROWS(restores::check_folder(folder));
}

}  // namespace appliance::api
