#include "agent/homeward/home_record.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "agent/homeward/home_guard.h"
#include "agent/homeward/home_start.h"
#include "agent/state_layout.h"
#include "base/error.h"
#include "base/scratch_directory.h"

namespace agent::homeward {
namespace {

struct Host {
  base::ScratchDirectory scratch{"/var/tmp", "muletto-home-record"};
  Config config;
  RestoreOrder order;
  std::vector<std::string> said;
  Host() {
    config.state_directory = scratch.path() + "/state";
    config.libvirt_uri = "";  // nothing here asks libvirt
    make_agent_directories(config.state_directory, scratch.path() + "/run");
    order.machine = "shop";
    order.point = images::PointId::random();
    order.home.emplace();
    order.home->failback = 7;
    order.home->boot = "0102030405060708";
    order.home->number = std::string(32, 'a');
    std::ofstream(disk()) << "content";
  }
  std::string disk() const { return scratch.path() + "/disk"; }
  HomeRecord record() { return *load_home_record(config.state_directory, "shop"); }
  void save(const HomeRecord& record) { save_home_record(config.state_directory, "shop", record); }
  Say say() {
    return [this](const std::string& sentence) { said.push_back(sentence); };
  }
};

}  // namespace

TEST_CASE("a home record is read as it was written, and a broken one stops everything") {
  Host host;
  CHECK_FALSE(load_home_record(host.config.state_directory, "shop"));
  HomeRecord record;
  record.failback = 7;
  record.boot = host.order.home->boot;
  record.domain = "shop";
  record.targets = {{{"vda", host.disk(), "qcow2"}, "mark"}};
  record.point = host.order.point;
  record.number = host.order.home->number;
  record.start = StartState::started;
  host.save(record);
  HomeRecord found = host.record();
  CHECK(found.point == record.point);
  CHECK(found.start == StartState::started);
  CHECK(found.targets.at(0).place.path == host.disk());
  CHECK(found.targets.at(0).mark == "mark");
  CHECK(found.allows(record.boot, 0));
  CHECK_FALSE(found.allows(record.boot, 7));  // a person has vouched that it does not run here
  CHECK_FALSE(found.allows("another", 0));
  found.start = StartState::voided;
  CHECK_FALSE(found.allows(record.boot, 0));
  std::ofstream(home_record_path(host.config.state_directory, "shop")) << "{\"failback\": -1}";
  CHECK_THROWS_AS(host.record(), base::Error);
}

TEST_CASE("the next round trusts the disks only as they were left") {
  Host host;
  host.order.home->base = host.order.point;
  std::vector<RestoreTarget> targets{{"vda", host.disk(), "qcow2"}};
  {
    HomeDisks disks(host.config, host.order);
    CHECK_FALSE(disks.is_known());
    disks.begin(targets, "shop");
    CHECK_FALSE(host.record().point);
    disks.complete(host.order.point);
  }
  CHECK(HomeDisks(host.config, host.order).holds_base(host.order.point));
  CHECK_FALSE(HomeDisks(host.config, host.order).holds_base(std::nullopt));
  CHECK_FALSE(HomeDisks(host.config, host.order).holds_base(images::PointId::random()));
  SECTION("somebody writes") { std::ofstream(host.disk()) << "other"; }
  SECTION("somebody touches it, as libvirt does at each start") {
    std::filesystem::permissions(host.disk(), std::filesystem::perms::owner_all);
  }
  SECTION("a round is interrupted") { HomeDisks(host.config, host.order).begin(targets, "shop"); }
  SECTION("it is another failback") { host.order.home->failback = 8; }
  CHECK_FALSE(HomeDisks(host.config, host.order).holds_base(host.order.point));
}

TEST_CASE("a number that was voided never starts anything, and one that started is not voided") {
  Host host;
  CHECK(never_start(host.config, host.order, host.say()) == HomeStart::voided);
  CHECK(host.record().start == StartState::voided);
  CHECK(start_at_home(host.config, host.order, host.say(), {}) == HomeStart::voided);
  CHECK(never_start(host.config, host.order, host.say()) == HomeStart::voided);
  SECTION("another number needs the disks") {
    host.order.home->number = std::string(32, 'b');
    CHECK_THROWS_WITH(start_at_home(host.config, host.order, host.say(), {}),
                      Catch::Contains("shop"));
  }
  SECTION("a start that may have happened is not taken back") {
    HomeRecord record = host.record();
    record.start = StartState::starting;
    record.domain = "shop";
    host.save(record);
    // It would have to ask libvirt what became of it.
    CHECK_THROWS_AS(never_start(host.config, host.order, host.say()), base::Error);
    CHECK(host.record().start == StartState::starting);
  }
}

TEST_CASE("disks that were changed since they were read back are not started from") {
  Host host;
  HomeDisks disks(host.config, host.order);
  disks.begin({{"vda", host.disk(), "qcow2"}}, "shop");
  disks.complete(host.order.point);
  SECTION("by somebody") {
    std::ofstream(host.disk()) << "other";
    CHECK_THROWS_WITH(start_at_home(host.config, host.order, host.say(), {}),
                      Catch::Contains("changed by somebody else"));
  }
  SECTION("or that hold another point") {
    host.order.point = images::PointId::random();
    CHECK_THROWS_WITH(start_at_home(host.config, host.order, host.say(), {}),
                      Catch::Contains("last point"));
  }
  CHECK(host.record().start == StartState::none);
}

TEST_CASE("only a machine that has run since before its instant VM is left alone") {
  constexpr uint64_t kHour = 3'600'000;
  CHECK(began_before_instant_vm(2 * kHour, kHour));
  CHECK_FALSE(began_before_instant_vm(kHour, 2 * kHour));  // the host came back from the dead
}

}  // namespace agent::homeward
