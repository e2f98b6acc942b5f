#include "base/ballast.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "base/scratch_directory.h"

namespace base {

TEST_CASE("a ballast is made when there is room, and kept while there is") {
  ScratchDirectory scratch("/tmp", "muletto-ballast-test");
  std::string path = scratch.path() + "/ballast";
  Ballast ballast(path, 100'000);
  CHECK_FALSE(ballast.is_there());
  ballast.restore();
  REQUIRE(ballast.is_there());
  CHECK(std::filesystem::file_size(path) == 100'000);
  CHECK_FALSE(ballast.ease());  // the disk is not full
  CHECK(ballast.is_there());
}

TEST_CASE("no ballast on a disk without room, and none of no size") {
  ScratchDirectory scratch("/tmp", "muletto-ballast-test");
  for (uint64_t size : {uint64_t{0}, uint64_t{1} << 60}) {
    Ballast ballast(scratch.path() + "/ballast", size);
    ballast.restore();
    CHECK_FALSE(ballast.is_there());
  }
  // One that is larger than what is free is given up.
  std::ofstream(scratch.path() + "/ballast") << "x";
  Ballast ballast(scratch.path() + "/ballast", uint64_t{1} << 60);
  CHECK(ballast.ease());
  CHECK_FALSE(ballast.is_there());
}

}  // namespace base
