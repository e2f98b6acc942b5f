// docs/api/openapi.yaml describes every route of the table, and no other.
#include <catch2/catch.hpp>
#include <set>

#include "base/file_system.h"
#include "base/text.h"
#include "tests/appliance/api/routes/two_tenants.h"

namespace appliance::api {
namespace {

constexpr uint64_t kMaxFile = 4 << 20;  // bytes

// "GET /api/v1/points/{point}" for each operation. The file's layout is simple enough to be read by
// lines: in the section `paths:`, a path is indented by two spaces, its methods by four.
std::set<std::string> described_routes(const std::string& text) {
  const std::set<std::string> methods{"get", "put", "post", "delete", "patch", "head", "options"};
  std::set<std::string> found;
  bool in_paths = false;
  std::string path;
  for (const std::string& line : base::split(text, '\n')) {
    if (!line.empty() && line[0] != ' ' && line[0] != '#') {
      in_paths = line == "paths:";
      path.clear();
    }
    if (!in_paths || !line.ends_with(':')) continue;
    size_t indent = line.find_first_not_of(' ');
    std::string word = line.substr(indent, line.size() - indent - 1);
    if (indent == 2) path = word;
    if (indent != 4 || !methods.contains(word)) continue;
    for (char& letter : word) letter = static_cast<char>(letter - 'a' + 'A');
    found.insert(word + " " + path);
  }
  return found;
}

std::set<std::string> routes_of(const Router& router) {
  std::set<std::string> found;
  for (const Route& route : router.routes()) {
    std::string pattern = route.pattern;
    // OpenAPI has no sign for a word that takes several segments.
    if (pattern.ends_with("...}")) pattern.replace(pattern.size() - 4, 4, "}");
    found.insert(route.method + " " + pattern);
  }
  return found;
}

// Those of `all` that `known` lacks, one a line.
std::string lacking(const std::set<std::string>& all, const std::set<std::string>& known) {
  std::string lines;
  for (const std::string& each : all) {
    if (!known.contains(each)) lines += "\n  " + each;
  }
  return lines;
}

}  // namespace

TEST_CASE("the API's description has every route, and no other", "[api]") {
  base::Bytes bytes = base::read_file(base::real_file_system(),
                                      MULETTO_TEST_DATA "/../docs/api/openapi.yaml", kMaxFile);
  std::set<std::string> described = described_routes(std::string(base::as_text(bytes)));
  TwoTenants appliance;
  std::set<std::string> routed = routes_of(appliance.router);
  REQUIRE(described.size() > 70);  // else the reader, or the file, is wrong
  INFO("docs/api/openapi.yaml lacks:" << lacking(routed, described));
  INFO("docs/api/openapi.yaml describes what is not routed:" << lacking(described, routed));
  CHECK(described == routed);
}

TEST_CASE("the reader of the API's description finds methods and nothing else", "[api]") {
  std::set<std::string> found = described_routes(
      "openapi: 3.1.0\n"
      "paths:\n"
      "  /a/{id}:\n"
      "    parameters:\n"
      "      - {name: id}\n"
      "    get:\n"
      "      operationId: getA\n"
      "      put:\n"
      "    delete:\n"
      "  /b:\n"
      "    post:\n"
      "components:\n"
      "  schemas:\n"
      "    get:\n");
  CHECK(found == std::set<std::string>{"GET /a/{id}", "DELETE /a/{id}", "POST /b"});
}

}  // namespace appliance::api
