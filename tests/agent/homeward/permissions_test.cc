#include "agent/homeward/permissions.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "agent/homeward/restore_order.h"
#include "base/error.h"
#include "base/scratch_directory.h"

namespace agent::homeward {
namespace {

using nlohmann::json;

json good_order() {
  return {{"order", 7},       {"ticket", std::string(64, 'a')},
          {"machine", "web"}, {"point", std::string(32, 'b')},
          {"disks", {"vda"}}, {"folder", "/srv/images"},
          {"format", "qcow2"}};
}

bool is_refused(const json& text) {
  try {
    parse_restore_order(text);
    return false;
  } catch (const base::Error& error) {
    CHECK(error.code() == base::ErrorCode::invalid_argument);
    return true;
  }
}

}  // namespace

TEST_CASE("a restore writes only where the host allows it") {
  base::ScratchDirectory scratch{"/tmp", "muletto-permissions-test"};
  std::string root = std::filesystem::canonical(scratch.path());
  for (const char* folder : {"/images", "/images/sub", "/images2", "/other"})
    std::filesystem::create_directory(root + folder);
  std::ofstream(root + "/other/own.raw") << "x";
  std::filesystem::create_directory_symlink(root + "/other", root + "/images/link");
  std::filesystem::create_symlink(root + "/other/own.raw", root + "/images/file-link");
  Config config;
  config.restore_directories = {root + "/images"};
  Permissions permissions(config, {root + "/other/own.raw"});

  CHECK(permissions.require(root + "/images/a.qcow2") == root + "/images/a.qcow2");
  CHECK(permissions.require(root + "/images/sub/a") == root + "/images/sub/a");
  CHECK(permissions.require(root + "/other/own.raw") == root + "/other/own.raw");
  for (const char* path : {"/images2/a", "/other/a", "/images/../other/a", "/images/link/a",
                           "/images/file-link", "/images/sub/../../other/a", "/other/own.raw2"})
    CHECK_THROWS_AS(permissions.require(root + path), base::Error);
  CHECK_THROWS_AS(permissions.require("/etc/passwd"), base::Error);
  config.restores = false;
  CHECK_THROWS_AS(Permissions(config, {}).require(root + "/images/a"), base::Error);
}

TEST_CASE("an order that cannot be meant is refused") {
  CHECK_NOTHROW(parse_restore_order(good_order()));
  std::vector<std::pair<const char*, json>> wrong{
      {"order", "x"},
      {"order", -1},
      {"ticket", "aa"},
      {"ticket", std::string(64, 'z')},
      {"machine", "\x1b[2J"},
      {"machine", 5},
      {"point", "b"},
      {"disks", 5},
      {"disks", {5}},
      {"disks", {"\n"}},
      {"folder", "relative"},
      {"folder", "/a/../b"},
      {"folder", "/a//b"},
      {"folder", "/a\nb"},
      {"folder", "/" + std::string(5000, 'x')},
      {"format", "vmdk"},
      {"in_place", true},  // and a folder
      {"name", "\x01"},
      {"networks", {{{"from", "a"}, {"to", ""}}}},
      {"targets", {{{"disk", "vda"}, {"path", "/a"}, {"format", "raw"}}}},  // and a folder
  };
  for (const auto& [field, value] : wrong) {
    json order = good_order();
    order[field] = value;
    CAPTURE(field, order.dump(-1, ' ', false, json::error_handler_t::replace));
    CHECK(is_refused(order));
  }
  json nowhere = good_order();
  nowhere.erase("folder");
  CHECK(is_refused(nowhere));
  CHECK(is_refused(json::array()));
  CHECK(is_refused(5));
}

}  // namespace agent::homeward
