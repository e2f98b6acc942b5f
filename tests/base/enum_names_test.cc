#include "base/enum_names.h"

#include <catch2/catch.hpp>

#include "base/error.h"

namespace base {
namespace {

enum class Metal { iron, copper, tin };

constexpr auto kMetals = enum_names<Metal>(
    "a metal", {{Metal::iron, "iron"}, {Metal::copper, "copper"}, {Metal::tin, "tin"}});

static_assert(is_enumerator<Metal::tin>());
static_assert(!is_enumerator<static_cast<Metal>(3)>());

TEST_CASE("enum names: each value has its name, and each name its value") {
  CHECK(kMetals.name(Metal::copper) == "copper");
  CHECK(kMetals.value("tin") == Metal::tin);
  CHECK(kMetals.find("iron") == Metal::iron);
  CHECK(kMetals.find("Iron") == std::nullopt);
  CHECK(kMetals.find("") == std::nullopt);
}

TEST_CASE("enum names: a name that is none is refused with the names that are") {
  try {
    kMetals.value(std::string(100, 'x'));
    FAIL("it was taken");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::invalid_argument);
    CHECK(error.message() ==
          "'" + std::string(40, 'x') + "' is not a metal; choose iron, copper or tin");
  }
}

}  // namespace
}  // namespace base
