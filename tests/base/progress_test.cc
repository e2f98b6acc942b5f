#include "base/progress.h"

#include <catch2/catch.hpp>

namespace base {

TEST_CASE("progress: the figures of a copy, and how long it will take") {
  CHECK(progress_text({.done = 512 << 20, .total = 2048ull << 20}, 10'000) ==
        " 25 %, 512.0 MiB of 2.0 GiB, 51.2 MiB/s, 30.0 s left");
  CHECK(progress_text({.done = 1 << 20, .total = 1 << 20}, 1000) ==
        "100 %, 1.0 MiB of 1.0 MiB, 1.0 MiB/s");
  CHECK(progress_text({.done = 0, .total = 1 << 20}, 0) == "  0 %, 0 B of 1.0 MiB, 0 B/s");
  CHECK(progress_text({.done = 0, .total = 0}, 0) == "100 %, 0 B of 0 B, 0 B/s");
}

}  // namespace base
