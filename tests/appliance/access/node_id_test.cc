#include "appliance/access/node_id.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/scratch_directory.h"

namespace appliance::access {

TEST_CASE("the id of an installation is made once, and never made up for a damaged file") {
  base::ScratchDirectory scratch("/tmp", "muletto-node");
  std::string path = scratch.path() + "/node-id";
  NodeId made = open_node_id(path, std::nullopt);
  CHECK_FALSE(made.is_zero());
  CHECK(open_node_id(path, NodeId::random()) == made);
  std::filesystem::remove(path);
  CHECK(open_node_id(path, made) == made);
  std::ofstream(path) << "something else";
  CHECK_THROWS_WITH(open_node_id(path, made), Catch::Contains("remove it"));
}

}  // namespace appliance::access
