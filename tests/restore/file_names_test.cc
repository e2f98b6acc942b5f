#include "restore/file_names.h"

#include <catch2/catch.hpp>

namespace restore {
namespace {

TEST_CASE("a restored machine's files stay in their folder, whatever its host called them") {
  FileNames names("out");
  CHECK(names.path_of("vda", ".img") == "out/vda.img");
  CHECK(names.path_of("../../etc/passwd") == "out/_.._.._etc_passwd");
  CHECK(names.path_of("") == "out/_");
  CHECK(names.path_of(".bashrc") == "out/_.bashrc");
  CHECK(names.path_of("-rf") == "out/_-rf");
  CHECK(names.path_of("a\x1b[2Jb\n") == "out/a_[2Jb_");
  CHECK(names.path_of("\xff\xfe") == "out/__");
  CHECK(names.path_of(std::string(300, 'x')).size() < 255);
  CHECK(names.path_of("Büro", ".xml") == "out/Büro.xml");
}

TEST_CASE("no part of a restored machine takes the file of another") {
  FileNames names("out");
  CHECK(names.path_of("vda", ".img") == "out/vda.img");
  CHECK(names.path_of("vda.img") == "out/vda.img-2");
  CHECK(names.path_of("vda.img") == "out/vda.img-3");
  CHECK(names.path_of("a/b") == "out/a_b");
  CHECK(names.path_of("a_b") == "out/a_b-2");
  CHECK(names.path_of("web", ".xml") == "out/web.xml");
  CHECK(names.path_of("web", ".xml") == "out/web-2.xml");
}

}  // namespace
}  // namespace restore
