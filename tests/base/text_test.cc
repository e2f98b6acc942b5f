#include "base/text.h"

#include <catch2/catch.hpp>

TEST_CASE("segments of a path are encoded") {
  CHECK(base::encode_percent("web@2026-11-21T08:00") == "web%402026-11-21T08%3A00");
  CHECK(base::encode_percent("a/b ü") == "a%2Fb%20%C3%BC");
}
