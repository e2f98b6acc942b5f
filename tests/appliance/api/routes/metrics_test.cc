// What Prometheus collects: valid text, each token's tenants, and names that the rules and the
// dashboard use.
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "appliance/api/routes/metrics.h"
#include "tests/appliance/api/routes/two_tenants.h"

namespace appliance::api {
namespace {

std::string content_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(std::string(MULETTO_TEST_DATA) + "/../appliance/dist/" + path).rdbuf();
  return text.str();
}

std::set<std::string> names_in(const std::string& text) {
  std::set<std::string> names;
  std::regex name("muletto_[a-z_]+");
  for (auto each = std::sregex_iterator(text.begin(), text.end(), name);
       each != std::sregex_iterator(); ++each)
    names.insert(each->str());
  return names;
}

base::HttpRequest metrics() {
  base::HttpRequest request;
  request.path = "/metrics";
  return request;
}

}  // namespace

TEST_CASE("metrics are grouped, and labels escaped", "[access]") {
  MetricsText text;
  text.gauge("b", "Second", {{"name", "a\"b\\c\nd"}}, 1.5);
  text.gauge("a", "First", {}, 3);
  text.gauge("b", "Second", {{"name", "x"}}, 12'345'678'901);
  CHECK(text.text() ==
        "# HELP a First\n# TYPE a gauge\na 3\n"
        "# HELP b Second\n# TYPE b gauge\nb{name=\"a\\\"b\\\\c d\"} 1.5\nb{name=\"x\"} "
        "12345678901\n");
}

TEST_CASE("each token gets its tenants' metrics", "[access]") {
  TwoTenants appliance;
  std::string all = appliance.as_root(metrics()).body;
  CHECK(all.find("muletto_machine_points{tenant=\"alpha\",machine=\"alpha-web\"} 1") !=
        std::string::npos);
  CHECK(all.find("bravo-web") != std::string::npos);
  CHECK(all.find("muletto_unreadable 0") != std::string::npos);
  std::string own = appliance.as_operator(appliance.alpha, metrics()).body;
  CHECK(own.find("alpha-web") != std::string::npos);
  CHECK(own.find("bravo") == std::string::npos);
  CHECK(own.find("muletto_failing_duties") == std::string::npos);
  CHECK(appliance.as_stranger(metrics()).status == 401);
  CHECK(appliance.as_host(appliance.alpha, metrics()).status == 403);
}

TEST_CASE("rules and dashboard name only metrics that exist", "[access]") {
  // All that a source file names; whether each is there depends on what an appliance has.
  std::ostringstream source;
  source << std::ifstream(std::string(MULETTO_TEST_DATA) +
                          "/../appliance/api/routes/metrics_routes.cc")
                .rdbuf();
  std::set<std::string> known = names_in(source.str());
  for (const char* file : {"muletto.rules.yml", "muletto-dashboard.json"}) {
    INFO(file);
    std::set<std::string> used = names_in(content_of(file));
    CHECK(used.size() > 5);
    for (const std::string& each : used) {
      INFO(each);
      CHECK(known.contains(each));
    }
  }
  auto dashboard = base::parse_json(content_of("muletto-dashboard.json"), "the dashboard");
  REQUIRE(dashboard["panels"].size() > 5);
  for (const auto& panel : dashboard["panels"]) CHECK(panel["targets"][0].contains("expr"));
}

}  // namespace appliance::api
