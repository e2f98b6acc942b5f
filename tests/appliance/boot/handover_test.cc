// A machine on its way home is started by nobody here: each path by which a VM starts asks who may
// run it.
#include "appliance/boot/handover.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "tests/appliance/boot/boot_appliance.h"
#include "tests/skip.h"

namespace appliance::boot {
namespace {

constexpr int64_t kFailback = 7;
const std::string kNumber(32, 'a');

struct Home {
  Appliance appliance;
  InstantVm vm = appliance.start();
  Handover& handover() { return appliance.service().handover(); }
  Domains& domains() { return appliance.hypervisor(); }
  bool runs() { return domains().state(vm.domain_name) == DomainState::running; }
  Holder holder() { return handover().look(vm.id).holder; }

  void guest_ends(DomainEnd how) {
    appliance.hypervisor().domains.clear();
    appliance.hypervisor().end = how;
  }
  void leave() {
    handover().claim(vm.id, kFailback);
    guest_ends(DomainEnd::guest);
    REQUIRE(handover().take_from_here(vm.id, kFailback));
  }
  void arrive() {
    leave();
    handover().give_home(vm.id, kFailback, kNumber);
  }
};

}  // namespace

TEST_CASE("a VM whose holder is not here is started by nothing", "[boot]") {
  SKIP_UNLESS(tests::is_root(), kNeedsRoot);
  Home home;
  bool is_at_home = GENERATE(false, true);
  if (is_at_home) home.arrive();
  else home.leave();
  Holder holder = home.holder();
  REQUIRE(holder != Holder::here);
  auto& service = home.appliance.service();

  SECTION("a person powers it on") {
    CHECK_THROWS_WITH(service.power(home.vm.id, PowerAction::power_on),
                      Catch::Contains("muletto failback show 7"));
  }
  SECTION("its QEMU seems to have crashed") {
    home.appliance.hypervisor().end = DomainEnd::crashed;
    for (int i = 0; i < 3; ++i) service.tend();
  }
  SECTION("the appliance lost power, whatever the phase says") {
    home.appliance.hypervisor().end = DomainEnd::unknown;
    home.appliance.set_phase(home.vm.id, Phase::started);
    home.appliance.restart();
    home.appliance.service().adopt();
    for (int i = 0; i < 3; ++i) home.appliance.service().tend();
  }
  SECTION("it is stopped, moved to another timeline, or taken back") {
    CHECK_THROWS_AS(service.stop(home.vm.id), base::Error);
    CHECK_THROWS_AS(service.change(home.vm.id, {.timeline = Timeline::production}), base::Error);
    CHECK_THROWS_AS(service.unprepare(home.vm.id), base::Error);
  }
  SECTION("somebody else starts it") {
    home.appliance.hypervisor().domains[home.vm.domain_name] = {
        home.appliance.hypervisor().defined.at(home.vm.domain_name)};
    REQUIRE(home.runs());
    SECTION("while the daemon runs") { CHECK(service.tend().size() == 1); }
    SECTION("while it does not") {
      home.appliance.restart();
      CHECK_FALSE(home.appliance.service().adopt().cleaned.empty());
    }
  }
  CHECK_FALSE(home.runs());
  CHECK(home.holder() == holder);
  CHECK_THROWS_AS(home.handover().release(home.vm.id, kFailback), base::Error);
}

TEST_CASE("a VM leaves only when its end was seen", "[boot]") {
  SKIP_UNLESS(tests::is_root(), kNeedsRoot);
  Home home;
  home.handover().claim(home.vm.id, kFailback);
  CHECK_FALSE(home.handover().take_from_here(home.vm.id, kFailback));
  CHECK_THROWS_AS(home.handover().take_from_here(home.vm.id, 8), base::Error);
  CHECK_THROWS_AS(home.handover().give_home(home.vm.id, kFailback, kNumber), base::Error);
  CHECK_THROWS_AS(home.appliance.service().stop(home.vm.id), base::Error);
  SECTION("and is restarted if it crashed before that") {
    home.guest_ends(DomainEnd::crashed);
    home.appliance.service().tend();
    CHECK(home.runs());
    CHECK(home.holder() == Holder::here);
  }
  SECTION("or is released") {
    home.handover().release(home.vm.id, kFailback);
    home.appliance.service().stop(home.vm.id);
    CHECK(home.appliance.nothing_left());
  }
  SECTION("and is not restarted once its power was cut on purpose") {
    home.handover().cut_power(home.vm.id, kFailback);
    home.appliance.hypervisor().end = DomainEnd::crashed;
    home.appliance.service().tend();
    CHECK_FALSE(home.runs());
    CHECK(home.handover().take_from_here(home.vm.id, kFailback));
  }
}

TEST_CASE("a VM that has left is only read, comes back, or is given up", "[boot]") {
  SKIP_UNLESS(tests::is_root(), kNeedsRoot);
  Home home;
  home.leave();
  home.handover().open_for_reading(home.vm.id, kFailback);
  CHECK(home.domains().state(home.vm.domain_name) == DomainState::paused);
  home.handover().open_for_reading(home.vm.id, kFailback);
  CHECK_THROWS_AS(home.appliance.service().power(home.vm.id, PowerAction::resume), base::Error);
  CHECK_THROWS_AS(home.handover().give_home(home.vm.id, kFailback, kNumber), base::Error);
  home.appliance.service().tend();  // one that only reads is left alone
  CHECK(home.domains().state(home.vm.domain_name) == DomainState::paused);
  SECTION("back") {
    home.handover().take_back(home.vm.id, kFailback, "");
    CHECK(home.runs());
    CHECK(home.holder() == Holder::here);
  }
  SECTION("home") {
    home.handover().end_reading(home.vm.id, kFailback);
    CHECK(home.appliance.exports().empty());
    CHECK_THROWS_AS(home.handover().give_up(home.vm.id, kFailback), base::Error);
    home.handover().give_home(home.vm.id, kFailback, kNumber);
    CHECK(home.appliance.service().timeline_holders(access::TenantScope::all()).empty());
    SECTION("and not back without home's word") {
      CHECK_THROWS_AS(home.handover().take_back(home.vm.id, kFailback, ""), base::Error);
      CHECK_THROWS_AS(home.handover().take_back(home.vm.id, kFailback, std::string(32, 'b')),
                      base::Error);
      CHECK_FALSE(home.runs());
      home.handover().take_back(home.vm.id, kFailback, kNumber);
      CHECK(home.runs());
      CHECK(home.appliance.service().timeline_holders(access::TenantScope::all()).size() == 1);
    }
    SECTION("and given up") {
      home.handover().give_up(home.vm.id, kFailback);
      home.handover().give_up(home.vm.id, kFailback);
      CHECK(home.appliance.nothing_left());
    }
  }
}

}  // namespace appliance::boot
