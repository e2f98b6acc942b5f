// Wrong clocks: what the scheduler does and says. That nothing is deleted by age meanwhile is a
// test of retention's.
#include <catch2/catch.hpp>
#include <set>

#include "appliance/catalog/catalog.h"
#include "appliance/schedule/alert_loop.h"
#include "appliance/schedule/scheduler.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/scratch_directory.h"
#include "base/text.h"
#include "tests/appliance/schedule/scheduler_polls.h"

namespace appliance::schedule {
namespace {

using catalog::Catalog;
using catalog::Host;
using Names = std::vector<std::string>;

const catalog::TenantName kTenantName{kTenant};
constexpr uint64_t kDay = 24ull * 3'600'000, kYear = 365 * kDay;

// As Appliance, with a clock that the test sets.
struct ClockedAppliance {
  base::ScratchDirectory scratch{"/tmp", "muletto-clocked-test"};
  std::unique_ptr<Catalog> catalog = Catalog::open(scratch.path() + "/catalog.sqlite");
  stores::TenantStores stores{base::real_file_system(), scratch.path() + "/stores", *catalog};
  jobs::JobRunner jobs{*catalog, {.thread_count = 1}};
  base::ManualClock clock{base::now_ms()};
  ClockTrust trust{*catalog, {&clock, "boot", {}}};
  Policies policies{*catalog};
  Scheduler scheduler{*catalog, policies, jobs, {}, {nullptr, nullptr, &clock}};

  void set_policy(const std::string& json) {
    catalog->set_policy(kTenant, "default",
                        policy::policy_to_json(policy::policy_from_json("default", json)));
  }
  Host enroll() {
    Host host;
    host.id = catalog::HostId::random();
    host.tenant = catalog::TenantName(kTenant);
    host.name = "alpha";
    host.certificate_serial = host.id.hex();
    base::Sha256 hash = base::sha256(base::as_bytes("secret"));
    catalog->add_token({catalog::TokenId::random(),
                        catalog::TokenKind::enrolment,
                        catalog::TenantName(kTenant),
                        "",
                        1,
                        1000,
                        {}},
                       hash);
    catalog->enroll_host(hash, host, 10);
    return host;
  }
  // A point that the appliance takes in now.
  void take_in(const Host& host, uint64_t host_time_ms) {
    images::PointSummary point;
    point.id = images::PointId::random();
    point.machine_name = "web";
    point.time_ms = clock.wall_ms();
    point.dates = {host_time_ms, ++order, false,
                   images::is_host_clock_wrong(host_time_ms, point.time_ms, 0)};
    catalog->claim_machine(kTenant, point.machine, "web", host.id);
    catalog->add_point(kTenant, point);
  }
  uint64_t order = 0;
};

}  // namespace

TEST_CASE("whatever the clocks do, a machine is synced on") {
  ClockedAppliance appliance;
  Host alpha = appliance.enroll();
  appliance.set_policy(R"({"protect_new": true, "schedule": ["every 1h"]})");
  uint64_t running = 0;
  auto is_ordered = [&] {
    Poll poll = report({"web"});
    if (running != 0) poll.outcomes.push_back({running, true, ""});
    running = 0;
    PollAnswer answer = appliance.scheduler.poll(alpha, poll);
    if (!answer.orders.empty()) running = answer.orders.front().id;
    return !answer.orders.empty();
  };
  auto sync = [&](uint64_t host_time_ms) {
    REQUIRE(is_ordered());
    appliance.take_in(alpha, host_time_ms);
    appliance.scheduler.committed(kTenant, "web");
    REQUIRE_FALSE(is_ordered());
  };
  const uint64_t begin = appliance.clock.wall_ms();
  SECTION("the host's is ahead, or behind") {
    for (uint64_t host : {begin + 300 * kDay, begin - kYear, begin}) {
      sync(host);
      appliance.clock.pass(kDay / 24);
    }
  }
  SECTION("ours jumps ahead and comes back") {
    sync(begin);
    appliance.clock.set_wall(begin + kYear);
    sync(begin);
    appliance.clock.pass(kDay / 24);
    sync(begin);
    appliance.clock.set_wall(begin);
    sync(begin);
    appliance.clock.pass(kDay / 24);
    sync(begin);
  }
  SECTION("ours jumps back") {
    sync(begin);
    appliance.clock.set_wall(begin - kYear);
    sync(begin);
    appliance.clock.pass(kDay / 24);
    sync(begin);
  }
  SECTION("a sync fails, and the clock is set back: the pause is not longer for that") {
    REQUIRE(is_ordered());
    Poll failed = report({"web"});
    failed.outcomes.push_back({running, false, "on fire"});
    CHECK(appliance.scheduler.poll(alpha, failed).orders.empty());
    running = 0;
    appliance.clock.set_wall(begin - kYear);
    CHECK(is_ordered());
  }
}

TEST_CASE("a point of a clock that was ahead is not fresh, and its host's orders do not end") {
  ClockedAppliance appliance;
  Host alpha = appliance.enroll();
  appliance.set_policy(R"({"protect_new": true, "schedule": ["every 1h"]})");
  const uint64_t begin = appliance.clock.wall_ms();
  appliance.scheduler.poll(alpha, report({"web"}));
  appliance.clock.set_wall(begin + kYear);
  appliance.take_in(alpha, begin);
  auto standing = [&] {
    return appliance.scheduler.standing(kTenant, appliance.catalog->machine(kTenant, "web"));
  };
  CHECK(standing().age_ms == 0);
  CHECK(standing().overdue_at_ms > appliance.clock.wall_ms());
  appliance.clock.set_wall(begin);
  CHECK_FALSE(standing().age_ms);
  CHECK(standing().overdue_at_ms < begin);
  // The agent was heard a moment ago, whatever the clock says: a sync can be asked for.
  PollAnswer answer = appliance.scheduler.poll(alpha, report({"web"}));
  if (!answer.orders.empty()) {
    Poll done = report({"web"});
    done.outcomes.push_back({answer.orders.front().id, true, ""});
    appliance.scheduler.committed(kTenant, "web");
    appliance.scheduler.poll(alpha, done);
  }
  appliance.clock.set_wall(begin + kYear);
  CHECK_NOTHROW(appliance.scheduler.request(kTenant, "web", access::Requester("root")));
}

TEST_CASE("a doubted clock of the appliance, and a wrong one of a host, are alerts") {
  ClockedAppliance appliance;
  Host alpha = appliance.enroll();
  appliance.set_policy(R"({"protect_new": true, "schedule": ["off"], "keep": "last 1"})");
  appliance.scheduler.poll(alpha, report({"web"}));
  const uint64_t begin = appliance.clock.wall_ms();
  for (int i = 0; i < 3; ++i) {
    appliance.take_in(alpha, begin + 300 * kDay);
    appliance.clock.pass(1000);
  }
  REQUIRE(appliance.trust.look().trusted);
  appliance.clock.set_wall(begin + kYear);
  DutyRunner duties;
  notices::Channels channels(*appliance.catalog, {});
  AlertLoop loop(*appliance.catalog, channels,
                 {protection_source({*appliance.catalog, appliance.stores, appliance.scheduler,
                                     appliance.policies, appliance.trust, appliance.clock})},
                 duties);
  loop.round(appliance.clock.wall_ms());
  std::set<std::string> kinds;
  for (const catalog::Alert& alert :
       appliance.catalog->alerts(catalog::TenantName(kTenant), false, 100))
    kinds.insert(alert.kind);
  CHECK(kinds.contains(alerts::kApplianceClock));
  CHECK(kinds.contains(alerts::kClockWrong));
}

TEST_CASE("a machine is seen running as long as its own host says so") {
  ClockedAppliance appliance;
  Host alpha = appliance.enroll();
  auto seen = [&] { return appliance.scheduler.running_original(kTenantName, "web"); };
  CHECK_FALSE(seen());
  Poll poll = report({"web"});
  appliance.scheduler.poll(alpha, poll);
  CHECK_FALSE(seen());  // it is there, but off
  poll.running_machines = {"web", "of another host"};
  appliance.scheduler.poll(alpha, poll);
  REQUIRE(seen());
  CHECK(seen()->host_name == "alpha");
  CHECK_FALSE(appliance.scheduler.running_original(kTenantName, "of another host"));
  CHECK_FALSE(appliance.scheduler.running_original(catalog::TenantName("other"), "web"));
  // A host that is dead, however it died, says nothing; a changed clock changes nothing.
  appliance.clock.set_wall(appliance.clock.wall_ms() + kYear);
  CHECK(seen());
  appliance.clock.pass(kSeenAliveMs - 1);
  CHECK(seen());
  appliance.scheduler.poll(alpha, {});  // nothing new, but it is alive
  appliance.clock.pass(kSeenAliveMs - 1);
  CHECK(seen());
  appliance.clock.pass(1);
  CHECK_FALSE(seen());
  appliance.scheduler.poll(alpha, poll);
  CHECK(seen());
  appliance.catalog->revoke_host(alpha.id);
  CHECK_FALSE(seen());
}

}  // namespace appliance::schedule
