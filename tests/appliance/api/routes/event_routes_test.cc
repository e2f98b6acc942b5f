// Events as operators of two tenants see them.
#include <fmt/format.h>

#include <atomic>
#include <thread>

#include "tests/appliance/api/routes/two_tenants.h"

namespace appliance::api {
namespace {

using events::EventKind;
using nlohmann::json;

base::HttpRequest get(const std::string& path) {
  base::HttpRequest request;
  request.path = "/api/v1" + path;
  return request;
}

// The lines of the stream until one satisfies `last`.
std::vector<json> follow(TwoTenants& appliance, const TenantThings& who, const std::string& query,
                         const std::function<bool(const json&)>& last) {
  std::vector<json> lines;
  std::string rest;
  appliance.follow_as_operator(who, get("/events/stream" + query), [&](std::string_view piece) {
    rest += piece;
    for (size_t end; (end = rest.find('\n')) != std::string::npos; rest.erase(0, end + 1)) {
      lines.push_back(base::parse_json(std::string_view(rest).substr(0, end), "a line"));
      if (last(lines.back())) return false;
    }
    return true;
  });
  return lines;
}

}  // namespace

TEST_CASE("events are listed and followed, each tenant's to its own operators", "[access]") {
  TwoTenants appliance;
  auto add = [&](const TenantThings& of, EventKind kind, const std::string& id) {
    appliance.events.add({.event = kind, .tenant = of.tenant, .subject = of.machine, .id = id});
  };
  add(appliance.alpha, EventKind::point_arrived, "p1");
  add(appliance.bravo, EventKind::point_arrived, "p2");

  json listed =
      base::parse_json(appliance.as_operator(appliance.alpha, get("/events")).body, "the answer");
  REQUIRE(listed["events"].size() == 1);
  CHECK(listed["events"][0]["event"] == "point-arrived");
  CHECK(listed["events"][0]["id"] == "p1");
  CHECK(listed["newest"] == 1002);
  CHECK(base::parse_json(appliance.as_root(get("/events")).body, "the answer")["events"].size() ==
        2);
  CHECK(base::parse_json(appliance.as_root(get("/events?tenant=bravo")).body,
                         "the answer")["events"][0]["id"] == "p2");

  // From now on: what comes while somebody follows.
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    add(appliance.bravo, EventKind::job_begun, "b");
    add(appliance.alpha, EventKind::job_begun, "a");
  });
  auto lines = follow(appliance, appliance.alpha, "",
                      [](const json& line) { return line["event"] == "job-begun"; });
  later.join();
  REQUIRE(lines.size() == 2);
  CHECK(lines[0]["event"] == "begin");
  CHECK(lines[0]["sequence"] == 1002);
  CHECK(lines[1]["id"] == "a");
  CHECK(lines[1]["sequence"] == 1004);

  // From a place: nothing is missed and nothing comes twice.
  lines = follow(appliance, appliance.bravo, "?after=1002",
                 [](const json& line) { return line["event"] == "job-begun"; });
  CHECK(lines.back()["id"] == "b");
  for (const char* place : {"999", "1005"}) {
    auto answer =
        appliance.as_operator(appliance.alpha, get(fmt::format("/events/stream?after={}", place)));
    CHECK(answer.status == 404);
  }
  CHECK(appliance.as_operator(appliance.alpha, get("/events/stream?after=now")).status == 400);
}

TEST_CASE("who falls too far back is told so, and the answer ends", "[access]") {
  TwoTenants appliance;
  std::atomic<bool> ends = false;
  std::thread flood;
  auto lines = follow(appliance, appliance.alpha, "", [&](const json& line) {
    if (line["event"] == "begin") {
      // Another tenant's, and far more than are kept, while this one is not looking.
      flood = std::thread([&] {
        while (!ends) appliance.events.add({.tenant = appliance.bravo.tenant});
      });
    }
    return line["event"] == "lost";
  });
  ends = true;
  flood.join();
  REQUIRE(lines.size() == 2);
  CHECK(lines.back()["event"] == "lost");
  CHECK(appliance.as_operator(appliance.alpha, get("/events/stream?after=1000")).status == 404);
}

TEST_CASE("the log of a job is followed to the job's end", "[access]") {
  TwoTenants appliance;
  const TenantThings& alpha = appliance.alpha;
  appliance.alpha.running->context().log("it begins");
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    appliance.alpha.running->context().log("it ends");
    appliance.alpha.running->succeed();
  });
  std::string all;
  base::HttpResponse answer = appliance.follow_as_operator(
      alpha, get("/jobs/" + alpha.job + "/log?follow=true"), [&](std::string_view piece) {
        all += piece;
        return true;
      });
  later.join();
  CHECK(answer.content_type == "application/x-ndjson");
  std::vector<json> lines;
  for (size_t end; (end = all.find('\n')) != std::string::npos; all.erase(0, end + 1))
    lines.push_back(base::parse_json(std::string_view(all).substr(0, end), "a line"));
  CHECK(all.empty());
  REQUIRE(lines.size() >= 4);
  CHECK(lines.front()["text"] == "it begins");
  CHECK(lines[1]["job"]["state"] == "running");
  CHECK(lines[lines.size() - 2]["text"] == "it ends");
  CHECK(lines.back()["job"]["state"] == "succeeded");
  CHECK(appliance
            .follow_as_operator(appliance.bravo, get("/jobs/" + alpha.job + "/log?follow=true"),
                                [](std::string_view) { return true; })
            .status == 404);
}

}  // namespace appliance::api
