// People are told of alerts, whatever one of the ways to them does.
#include "appliance/alerts/channels.h"

#include <sys/stat.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>
#include <thread>

#include "appliance/alerts/kinds.h"
#include "base/error.h"
#include "base/scratch_directory.h"

namespace appliance::alerts {
namespace {

using namespace std::chrono_literals;

const ChannelLimits kQuick{.queue_size = 3, .first_pause = 5ms, .longest_pause = 20ms};

catalog::Alert alert_of(const std::string& subject) {
  catalog::Alert alert;
  alert.kind = kMachineOverdue;
  alert.tenant = catalog::TenantName("default");
  alert.subject = subject;
  alert.message = "it's \"late\"";
  alert.opened_ms = 1000;
  return alert;
}

template <typename Condition>
bool comes_true(Condition condition) {
  auto deadline = std::chrono::steady_clock::now() + 20s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(2ms);
  }
  return true;
}

void write_script(const std::string& path, const std::string& text) {
  std::ofstream(path) << "#!/bin/sh\n" << text;
  ::chmod(path.c_str(), 0755);
}

std::string content_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("what could not be told is told later, in order, and the trouble is known meanwhile",
          "[alerts]") {
  std::atomic<int> failures = 3;
  base::Guarded<std::vector<std::string>> told;
  AlertChannels channels({}, kQuick);
  channels.add("pager", [&](const Message& message) {
    if (failures > 0) {
      --failures;
      throw base::Error(base::ErrorCode::unavailable, "the network is down");
    }
    told.lock()->push_back(message.state + " " + message.alert.subject);
  });
  failures = 1'000'000;
  channels.tell(alert_of("web"), AlertChange::opened);
  channels.tell(alert_of("web"), AlertChange::closed);
  REQUIRE(comes_true([&] { return !channels.troubles().empty(); }));
  ChannelTrouble trouble = channels.troubles().front();
  CHECK(trouble.channel == "pager");
  CHECK(trouble.error == "the network is down");
  CHECK(trouble.since_ms > 0);
  failures = 0;
  CHECK(comes_true([&] { return told.lock()->size() == 2; }));
  CHECK(*told.lock() == std::vector<std::string>{"opened web", "closed web"});
  CHECK(comes_true([&] { return channels.troubles().empty(); }));
}

TEST_CASE("a channel that hangs keeps neither alerts nor the other channel waiting", "[alerts]") {
  std::atomic<bool> hangs = true;
  std::atomic<int> told = 0;
  AlertChannels channels({}, kQuick);
  channels.add("hanging", [&](const Message&) {
    while (hangs) std::this_thread::sleep_for(1ms);
  });
  channels.add("good", [&](const Message&) { ++told; });
  for (int i = 0; i < 20; ++i) {
    channels.tell(alert_of("web"), AlertChange::opened);
    int before = i;
    REQUIRE(comes_true([&] { return told > before; }));
  }
  hangs = false;
}

TEST_CASE("the command gets the alert and nothing of the daemon's environment", "[alerts]") {
  base::ScratchDirectory scratch("/tmp", "muletto-command");
  write_script(scratch.path() + "/tell", "{ echo \"$@\"; env; } > " + scratch.path() + "/told\n");
  ::setenv("MULETTO_TEST_SECRET", "secret", 1);
  AlertChannels channels({.command = scratch.path() + "/tell"}, kQuick);
  auto tests = channels.test();
  ::unsetenv("MULETTO_TEST_SECRET");
  REQUIRE(tests.size() == 1);
  CHECK(tests.front().error.empty());
  std::string told = content_of(scratch.path() + "/told");
  CHECK_THAT(told, Catch::StartsWith("test test muletto a test of this channel"));
  CHECK(told.find("MULETTO_TEST_SECRET") == std::string::npos);
  write_script(scratch.path() + "/tell", "echo no paper >&2; exit 3\n");
  CHECK_THAT(channels.test().front().error, Catch::Contains("no paper"));
}

TEST_CASE("the webhook's URL is no argument of a program, and in none of the errors", "[alerts]") {
  base::ScratchDirectory scratch("/tmp", "muletto-webhook-test");
  const std::string url = "http://127.0.0.1:1/token-of-the-\"hook\"";
  // A curl that keeps what it was given.
  std::string kept = scratch.path() + "/kept";
  write_script(scratch.path() + "/curl",
               "echo \"$@\" > " + kept + "\nfor last; do :; done\ncat \"$last\" >> " + kept +
                   ".config\necho 'cannot reach " +
                   "http://127.0.0.1:1/token-of-the-\"hook\"' >&2\nexit 7\n");
  std::string path = std::getenv("PATH");
  ::setenv("PATH", (scratch.path() + ":" + path).c_str(), 1);
  AlertChannels channels({.webhook = url}, kQuick);
  std::string error = channels.test().front().error;
  ::setenv("PATH", path.c_str(), 1);
  CHECK(content_of(kept).find("token") == std::string::npos);
  CHECK_THAT(content_of(kept + ".config"),
             Catch::Contains("url = \"http://127.0.0.1:1/token-of-the-\\\"hook\\\"\""));
  CHECK_THAT(error, Catch::Contains("cannot reach"));
  CHECK(error.find("token") == std::string::npos);
}

TEST_CASE("every kind of alert says what it means and what to do, also in the guide", "[alerts]") {
  std::string guide = content_of(std::string(MULETTO_TEST_DATA) + "/../docs/schedules.md");
  std::set<std::string_view> names;
  for (const AlertKind& kind : alert_kinds()) {
    INFO(kind.name);
    CHECK(names.insert(kind.name).second);
    CHECK_FALSE(kind.meaning.empty());
    CHECK(kind.advice.ends_with("."));
    CHECK(guide.find(std::string("| ") + std::string(kind.name) + " |") != std::string::npos);
  }
  CHECK(kind_of(kMachineOverdue).severity == Severity::critical);
  CHECK(kind_of("of a version to come").advice == "Read the message.");
}

}  // namespace appliance::alerts
