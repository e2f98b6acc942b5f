#include "base/scratch_directory.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/skip.h"

namespace base {
namespace {

namespace fs = std::filesystem;

}  // namespace

TEST_CASE("abandoned folders are removed, those of others in a common folder are not") {
  SKIP_UNLESS(tests::is_root(), "it needs root");
  ScratchDirectory place(fs::temp_directory_path().string(), "muletto-scratch-test");
  std::string own = place.path() + "/look-own", foreign = place.path() + "/look-foreign";
  fs::create_directory(own);
  fs::create_directory(foreign);
  REQUIRE(::chown(foreign.c_str(), 65534, 65534) == 0);

  fs::permissions(place.path(), fs::perms(01777));
  remove_abandoned_directories(place.path(), "look");
  CHECK_FALSE(fs::exists(own));
  CHECK(fs::exists(foreign));
  // In a folder of ours it can only be what we gave away, as to QEMU's user.
  fs::permissions(place.path(), fs::perms(0711));
  remove_abandoned_directories(place.path(), "look");
  CHECK_FALSE(fs::exists(foreign));
}

}  // namespace base
