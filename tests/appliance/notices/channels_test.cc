// People are notified of alerts, whatever one of the ways to them does, and whenever the daemon dies.
#include "appliance/notices/channels.h"

#include <sys/stat.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "appliance/alerts/conditions.h"
#include "appliance/catalog/catalog.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/scratch_directory.h"
#include "base/text.h"

namespace appliance::notices {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

const ChannelLimits kQuick{.queue_size = 3, .first_pause = 5ms, .longest_pause = 20ms, .look = 5ms};
constexpr uint64_t kHour = 3'600'000;

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

ChannelSpec spec_of(const std::string& name) {
  ChannelSpec spec;
  spec.name = name;
  return spec;
}

// What a channel was given: "opened web".
class Heard {
 public:
  Sender sender() {
    return [this](const Notice& notice) {
      attempts_.lock()->push_back(notice.id);
      if (is_failing) throw base::Error(base::ErrorCode::unavailable, "the network is down");
      told_.lock()->push_back(notice.state + " " + notice.alert.subject);
    };
  }
  std::vector<std::string> told() { return *told_.lock(); }
  std::vector<std::string> attempts() { return *attempts_.lock(); }
  std::atomic<bool> is_failing = false;

 private:
  base::Guarded<std::vector<std::string>> told_, attempts_;
};

class Fixture {
 public:
  int64_t open(const std::string& subject, const char* kind = alerts::kMachineOverdue) {
    catalog::Alert alert;
    alert.kind = kind;
    alert.tenant = catalog::TenantName("default");
    alert.subject = subject;
    alert.message = "it's \"late\"";
    alert.opened_ms = now_ms;
    catalog->open_alert(alert);
    return catalog->alerts(alert.tenant, false, 1).front().id;
  }
  void close(const std::string& subject, const char* kind = alerts::kMachineOverdue) {
    catalog->close_alert(catalog::TenantName("default"), kind, subject, now_ms);
  }

  base::ScratchDirectory scratch{"/tmp", "muletto-notices"};
  std::unique_ptr<catalog::Catalog> catalog =
      catalog::Catalog::open(scratch.path() + "/catalog.sqlite");
  // What is handed out for a later time is due then.
  uint64_t now_ms = base::now_ms() - 2 * kHour;
};

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("what could not be told is told later, in order, and the trouble is known meanwhile",
          "[alerts]") {
  Fixture fixture;
  Heard heard;
  heard.is_failing = true;
  Channels channels(*fixture.catalog, {.node = "n1"}, kQuick);
  channels.add(spec_of("pager"), heard.sender());
  fixture.open("web");
  fixture.close("web");
  channels.hand_out(fixture.now_ms);
  REQUIRE(comes_true([&] { return channels.standings().front().failing_since_ms != 0; }));
  ChannelStanding standing = channels.standings().front();
  CHECK(standing.name == "pager");
  CHECK(standing.error == "the network is down");
  CHECK(standing.queue.waiting_count == 2);
  heard.is_failing = false;
  CHECK(comes_true([&] { return heard.told().size() == 2; }));
  CHECK(comes_true([&] { return channels.standings().front().queue.waiting_count == 0; }));
  CHECK(channels.standings().front().failing_since_ms == 0);
}

TEST_CASE("a notice survives the daemon, and keeps its id at each attempt", "[alerts]") {
  Fixture fixture;
  fixture.open("before anything runs");
  Heard first;
  first.is_failing = true;
  {
    Channels channels(*fixture.catalog, {.node = "n1"}, kQuick);
    channels.add(spec_of("pager"), first.sender());
    channels.hand_out(fixture.now_ms);
    fixture.open("not handed out");
    REQUIRE(comes_true([&] { return first.attempts().size() >= 2; }));
  }
  Heard second;
  Channels channels(*fixture.catalog, {.node = "n1"}, kQuick);
  channels.add(spec_of("pager"), second.sender());
  channels.hand_out(fixture.now_ms);
  REQUIRE(comes_true([&] { return second.told().size() == 2; }));
  CHECK(second.told() == Texts{"opened before anything runs", "opened not handed out"});
  CHECK(first.attempts().front() == first.attempts().back());
  CHECK(second.attempts().front() == first.attempts().front());
  CHECK(second.attempts().front() == "n1-1-opened");
  std::this_thread::sleep_for(50ms);
  CHECK(second.told().size() == 2);
}

TEST_CASE("a channel that hangs keeps neither alerts nor the other channel waiting", "[alerts]") {
  Fixture fixture;
  std::atomic<bool> hangs = true;
  Heard good;
  Channels channels(*fixture.catalog, {}, kQuick);
  channels.add(spec_of("hanging"), [&](const Notice&) {
    while (hangs) std::this_thread::sleep_for(1ms);
  });
  channels.add(spec_of("good"), good.sender());
  for (size_t i = 0; i < 20; ++i) {
    fixture.open("web" + std::to_string(i));
    channels.hand_out(fixture.now_ms);
    REQUIRE(comes_true([&] { return good.told().size() > i; }));
  }
  // The queue of the one that hangs has its limit.
  CHECK(channels.standings().front().queue.waiting_count <= kQuick.queue_size);
  CHECK(channels.standings().front().dropped_count > 0);
  hangs = false;
}

TEST_CASE("a notice that one server refuses again and again does not hold up the others",
          "[alerts]") {
  Fixture fixture;
  base::Guarded<Texts> told;
  Channels channels(*fixture.catalog, {}, kQuick);
  channels.add(spec_of("picky"), [&](const Notice& notice) {
    if (notice.alert.subject == "poison")
      throw base::Error(base::ErrorCode::unavailable, "554 refused");
    told.lock()->push_back(notice.alert.subject);
  });
  fixture.open("poison");
  fixture.open("web");
  channels.hand_out(fixture.now_ms);
  CHECK(comes_true([&] { return *told.lock() == Texts{"web"}; }));
}

TEST_CASE("each channel gets what it asked for", "[alerts]") {
  Fixture fixture;
  Heard all, critical, backups, boss, nobody;
  Channels channels(*fixture.catalog, {}, kQuick);
  ChannelSpec spec = spec_of("all");
  channels.add(spec, all.sender());
  spec.name = "critical";
  spec.match.only_critical = true;
  channels.add(spec, critical.sender());
  spec = spec_of("one kind");
  spec.match.kinds = {alerts::kRecoverySlow};
  channels.add(spec, backups.sender());
  spec = spec_of("other tenant");
  spec.match.tenants = {"bakery"};
  channels.add(spec, nobody.sender());
  spec = spec_of("boss");
  spec.match.escalation_after_ms = kHour;
  channels.add(spec, boss.sender());

  fixture.open("web");
  fixture.open("slow", alerts::kRecoverySlow);
  int64_t known = fixture.open("known");
  fixture.catalog->acknowledge_alert(known, catalog::TenantScope::all(), {"anna", "on it"},
                                     fixture.now_ms);
  channels.hand_out(fixture.now_ms);
  REQUIRE(comes_true([&] { return all.told().size() == 3; }));
  CHECK(comes_true([&] { return critical.told() == Texts{"opened web", "opened known"}; }));
  CHECK(comes_true([&] { return backups.told() == Texts{"opened slow"}; }));

  // An hour later nobody has said anything about two of them.
  channels.hand_out(fixture.now_ms + kHour + 1);
  channels.hand_out(fixture.now_ms + kHour + 2);
  REQUIRE(comes_true([&] { return boss.told().size() == 2; }));
  CHECK(boss.told() == Texts{"escalated web", "escalated slow"});
  fixture.close("web");
  fixture.close("known");
  channels.hand_out(fixture.now_ms + kHour + 3);
  REQUIRE(comes_true([&] { return boss.told().size() == 3; }));
  CHECK(boss.told().back() == "closed web");
  CHECK(nobody.told().empty());
}

TEST_CASE("a silenced alert is told when the silence is over, or when it closes", "[alerts]") {
  Fixture fixture;
  Heard heard;
  Channels channels(*fixture.catalog, {}, kQuick);
  channels.add(spec_of("all"), heard.sender());
  int64_t web = fixture.open("web"), db = fixture.open("db");
  for (int64_t id : {web, db})
    fixture.catalog->silence_alert(id, catalog::TenantScope::all(), {"anna", "moving it"},
                                   fixture.now_ms + kHour);
  channels.hand_out(fixture.now_ms);
  fixture.close("db");
  channels.hand_out(fixture.now_ms + 1);
  REQUIRE(comes_true([&] { return !heard.told().empty(); }));
  // It flaps.
  fixture.close("web");
  fixture.open("web");
  channels.hand_out(fixture.now_ms + 2);
  REQUIRE(comes_true([&] { return heard.told().size() == 2; }));
  channels.hand_out(fixture.now_ms + kHour + 1);
  channels.hand_out(fixture.now_ms + kHour + 2);
  REQUIRE(comes_true([&] { return heard.told().size() == 3; }));
  CHECK(heard.told() == Texts{"closed db", "closed web", "reminded web"});
  std::this_thread::sleep_for(30ms);
  CHECK(heard.told().size() == 3);
}

TEST_CASE("outside of a channel's hours notices wait, and what is over by then is not told",
          "[alerts]") {
  Fixture fixture;
  Heard heard;
  Channels channels(*fixture.catalog, {}, kQuick);
  ChannelSpec spec = spec_of("day");
  // Hours that do not contain the present one, nor the next.
  int hour = static_cast<int>(fixture.now_ms / kHour % 24);
  spec.match.hours = {policy::parse_window(
      {std::to_string((hour + 5) % 24) + "-" + std::to_string((hour + 6) % 24)})};
  uint64_t due_ms = spec.match.due_ms(fixture.now_ms);
  CHECK(due_ms > fixture.now_ms + 3 * kHour);
  CHECK(due_ms <= fixture.now_ms + 5 * kHour);
  CHECK(spec.match.due_ms(due_ms) == due_ms);
  channels.add(spec, heard.sender());
  fixture.open("web");
  fixture.open("db");
  channels.hand_out(fixture.now_ms);
  CHECK(channels.standings().front().queue.waiting_count == 2);
  fixture.close("web");
  channels.hand_out(fixture.now_ms + 1);
  CHECK(channels.standings().front().queue.waiting_count == 1);
  std::this_thread::sleep_for(30ms);
  CHECK(heard.told().empty());
}

TEST_CASE("an alert that cannot be recorded is told from memory", "[alerts]") {
  Fixture fixture;
  Heard heard;
  Channels channels(*fixture.catalog, {}, kQuick);
  channels.add(spec_of("all"), heard.sender());
  catalog::Alert alert;
  alert.tenant = catalog::TenantName("default");
  alert.subject = "alerts";
  channels.tell_at_once(alert);
  CHECK(comes_true([&] { return heard.told() == Texts{"opened alerts"}; }));
}

TEST_CASE("channels are made, listed without secrets, and deleted with what waits", "[alerts]") {
  Fixture fixture;
  json mail{{"name", "on call"},       {"kind", "mail"},          {"server", "127.0.0.1:1"},
            {"from", "a@example.com"}, {"to", {"b@example.com"}}, {"user", "backup"},
            {"password", "hunter2"}};
  json hook{{"name", "hook"},
            {"kind", "webhook"},
            {"url", "https://u:p@example.com/SECRET"},
            {"secret", "hunter2"}};
  {
    Channels channels(*fixture.catalog, {}, kQuick);
    channels.create(mail, 1);
    channels.create(hook, 2);
    CHECK_THROWS_AS(channels.create(mail, 3), base::Error);
  }
  Channels channels(*fixture.catalog, {}, kQuick);
  std::string shown = base::dump_text(json(channels.list()));
  REQUIRE(channels.list().size() == 2);
  CHECK(shown.find("hunter2") == std::string::npos);
  CHECK(shown.find("SECRET") == std::string::npos);
  CHECK(shown.find("u:p") == std::string::npos);
  CHECK(shown.find("https://example.com/") != std::string::npos);
  // A channel of the API does not reach this machine.
  std::string error = channels.test("on call").front().error;
  CHECK_THAT(error, Catch::Contains("alerts.local_targets"));
  CHECK(error.find("hunter2") == std::string::npos);
  channels.remove("on call");
  CHECK(channels.list().size() == 1);
  CHECK_THROWS_AS(channels.remove("on call"), base::Error);
  CHECK_THROWS_AS(channels.test("on call"), base::Error);
}

TEST_CASE("the command gets the alert and nothing of the daemon's environment", "[alerts]") {
  Fixture fixture;
  std::string folder = fixture.scratch.path();
  write_script(folder + "/tell", "{ echo \"$@\"; env; } > " + folder + "/told\n");
  ::setenv("MULETTO_TEST_SECRET", "secret", 1);
  Channels channels(*fixture.catalog, {.command = folder + "/tell"}, kQuick);
  auto tests = channels.test("");
  ::unsetenv("MULETTO_TEST_SECRET");
  REQUIRE(tests.size() == 1);
  CHECK(tests.front().error.empty());
  std::string told = content_of(folder + "/told");
  CHECK_THAT(told, Catch::StartsWith("test test muletto a test of this channel"));
  CHECK(told.find("MULETTO_TEST_SECRET") == std::string::npos);
  CHECK(told.find("MULETTO_NOTICE=test-") != std::string::npos);
  write_script(folder + "/tell", "echo no paper >&2; exit 3\n");
  CHECK_THAT(channels.test("command").front().error, Catch::Contains("no paper"));
}

TEST_CASE("the webhook's URL is in none of the errors", "[alerts]") {
  Fixture fixture;
  Channels channels(*fixture.catalog, {.webhook = "http://127.0.0.1:1/token-of-the-\"hook\""},
                    kQuick);
  std::string error = channels.test("").front().error;
  CHECK_THAT(error, Catch::Contains("the webhook"));
  CHECK(error.find("token") == std::string::npos);
  CHECK(base::dump_text(json(channels.list())).find("token") == std::string::npos);
}

TEST_CASE("a heartbeat is sent only while the duties are carried out", "[alerts]") {
  Fixture fixture;
  std::atomic<int> beats = 0;
  std::atomic<bool> is_ill = true;
  Channels channels(*fixture.catalog,
                    {.trouble = [&] { return std::string(is_ill ? "a duty fails" : ""); }}, kQuick);
  ChannelSpec spec = spec_of("heart");
  spec.kind = ChannelKind::heartbeat;
  spec.every_ms = 5;
  channels.add(spec, [&](const Notice&) { ++beats; });
  std::this_thread::sleep_for(50ms);
  CHECK(beats == 0);
  is_ill = false;
  CHECK(comes_true([&] { return beats > 2; }));
  // It is told of no alert.
  fixture.open("web");
  channels.hand_out(fixture.now_ms);
  CHECK(channels.standings().front().queue.waiting_count == 0);
}

}  // namespace appliance::notices
