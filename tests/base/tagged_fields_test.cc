#include "base/tagged_fields.h"

#include <catch2/catch.hpp>
#include <functional>

#include "base/error.h"

namespace base {
namespace {

ErrorCode code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  FAIL("nothing was thrown");
  return ErrorCode::io;
}

Bytes two_fields() {
  ByteWriter out;
  write_field(out, 1, as_bytes("ab"));
  write_field(out, 7 | kFieldNeeded, {});
  return out.take();
}

TEST_CASE("fields have golden bytes, and say whether they may be passed over") {
  Bytes bytes = two_fields();
  CHECK(to_hex(bytes) ==
        "0100020000006162"
        "078000000000");
  auto fields = read_fields(bytes, "a test");
  REQUIRE(fields.size() == 2);
  CHECK(fields[0].number == 1);
  CHECK(as_text(fields[0].value) == "ab");
  CHECK_FALSE(fields[0].needed);
  CHECK(fields[1].number == 7);
  CHECK(fields[1].needed);
  CHECK(read_fields({}, "a test").empty());
  CHECK_NOTHROW(pass_over(fields[0], "a test"));
  CHECK(code_of([&] { pass_over(fields[1], "a test"); }) == ErrorCode::unsupported);
}

TEST_CASE("bytes that are no fields are corrupt") {
  Bytes bytes = two_fields();
  for (size_t size = 1; size < bytes.size(); ++size) {
    if (size == 8) continue;  // the first field alone
    CHECK(code_of([&] { read_fields(ByteView(bytes).first(size), "a test"); }) ==
          ErrorCode::corrupt);
  }
  auto refused = [&](std::initializer_list<uint16_t> tags) {
    ByteWriter out;
    for (uint16_t tag : tags) {
      out.u16(tag);
      out.u32(0);
    }
    return code_of([&] { read_fields(out.bytes(), "a test"); }) == ErrorCode::corrupt;
  };
  CHECK(refused({0}));
  CHECK(refused({kFieldNeeded}));
  CHECK(refused({2, 1}));
  CHECK(refused({1, 1}));
  CHECK(refused({1, 1 | kFieldNeeded}));
  ByteWriter many;
  for (uint16_t tag = 1; tag <= kMaxFields + 1; ++tag) write_field(many, tag, {});
  CHECK(code_of([&] { read_fields(many.bytes(), "a test"); }) == ErrorCode::corrupt);
  ByteWriter huge;
  huge.u16(1);
  huge.u32(0xffffffff);
  CHECK(code_of([&] { read_fields(huge.bytes(), "a test"); }) == ErrorCode::corrupt);
}

}  // namespace
}  // namespace base
