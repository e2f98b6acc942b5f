#include "appliance/api/routes/agent_poll.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"

namespace appliance::api {
namespace {

using nlohmann::json;

json kept_report(const schedule::Poll& poll) { return json::parse(poll.report.value()); }

}  // namespace

TEST_CASE("a deeply nested poll is refused before anything is done with it") {
  std::string deep = std::string(250'000, '[') + std::string(250'000, ']');
  CHECK_THROWS_WITH(read_poll(R"({"report":{"machines":[],"x":)" + deep + "}}"),
                    Catch::Contains("nested"));
  CHECK_THROWS_WITH(read_poll("{\"x\":\"" + std::string(kMaxPollSize, 'x') + "\"}"),
                    Catch::Contains("larger"));
}

TEST_CASE("of a report only the fields that are known are kept, each cut to its limit") {
  std::string sentence(5000, 's');
  auto poll = read_poll(R"({"report": {"version": "1", "libvirt_problem": ")" + sentence +
                        R"(", "scratch_free": -5, "evil": {"a": [1, [2]]},
    "machines": [{"name": "web", "kind": "domain", "running": true, "note": "x"},
                 {"name": 5}, {"name": "bad\u0007name"}, 7, {"name": "db", "kind": 3}]}})");
  CHECK(poll.machines == std::vector<std::string>{"web", "db"});
  CHECK(poll.left_out == 3);
  json kept = kept_report(poll);
  CHECK(kept.size() == 5);
  CHECK(kept["libvirt_problem"].get<std::string>().size() == kMaxReportedSentence);
  CHECK(kept["scratch_free"] == 0);
  CHECK(kept["machines"][0] == json{{"name", "web"}, {"kind", "domain"}, {"running", true}});
  CHECK(kept["machines"][1] == json{{"name", "db"}, {"kind", nullptr}, {"running", nullptr}});
}

TEST_CASE("a report takes no more machines than there may be") {
  json machines = json::array();
  for (size_t i = 0; i < kMaxReportedMachines + 7; ++i)
    machines.push_back({{"name", "m" + std::to_string(i)}});
  auto poll = read_poll(json{{"report", {{"machines", machines}}}}.dump());
  CHECK(poll.machines.size() == kMaxReportedMachines);
  CHECK(poll.left_out == 7);
}

TEST_CASE("wrong types in a poll are sentences") {
  for (const char* body : {"", "[]", "5", "{", R"({"report": 5})", R"({"report": {"machines": 5}})",
                           R"({"outcomes": {}})", R"({"outcomes": [{"order": "x"}]})",
                           R"({"outcomes": [{"order": 1, "succeeded": 1}]})", R"({"running": [5]})",
                           R"({"running": [{"order": -1, "machine": "a"}]})",
                           R"({"running": [{"order": 1, "machine": 5}]})",
                           R"({"running": [{"order": 1, "machine": "a\n"}]})"}) {
    INFO(body);
    CHECK_THROWS_AS(read_poll(body), base::Error);
  }
  json many = json::array();
  for (size_t i = 0; i <= kMaxPolledOrders; ++i) many.push_back({{"order", i}, {"machine", "a"}});
  CHECK_THROWS_WITH(read_poll(json{{"running", many}}.dump()), Catch::Contains("entries"));
  CHECK_FALSE(read_poll(R"({"report": null})").report);
  auto poll = read_poll(R"({"running": [{"order": 3, "machine": "a", "done": "x", "total": 9}]})");
  CHECK(poll.running.at(0).done == 0);
  CHECK(poll.running.at(0).total == 9);
}

TEST_CASE("what an agent says of restores is read within its limits") {
  auto reports = read_restores(R"({"restores": [
    {"order": 7, "state": "running", "doing": "restoring", "done": 5, "total": 9, "written": 3,
     "evil": {"a": 1}, "rate": "x"},
    {"order": 8, "state": "failed", "error": "no", "notes": ["a\u001bb", 5, "c"]}]})");
  REQUIRE(reports.size() == 2);
  CHECK(reports[0].done == 5);
  CHECK(json::parse(reports[0].figures) == json{{"written", 3}});
  CHECK(reports[1].state == homeward::RestoreReport::State::failed);
  CHECK(reports[1].notes == std::vector<std::string>{"a b", "c"});
  CHECK(read_restores(R"({"running": []})").empty());
  json many = json::array();
  for (size_t i = 0; i <= kMaxPolledOrders; ++i)
    many.push_back({{"order", i}, {"state", "running"}});
  for (const std::string& body :
       {std::string(R"({"restores": 5})"), std::string(R"({"restores": [5]})"),
        std::string(R"({"restores": [{"order": 1}]})"),
        std::string(R"({"restores": [{"order": 1, "state": "well"}]})"),
        std::string(R"({"restores": [{"order": -1, "state": "running"}]})"),
        json{{"restores", many}}.dump()})
    CHECK_THROWS_AS(read_restores(body), base::Error);
}

}  // namespace appliance::api
