#include "appliance/schedule/scheduler.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <set>
#include <thread>

#include "appliance/catalog/catalog.h"
#include "appliance/catalog/sqlite/database.h"
#include "appliance/schedule/upkeep.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/scratch_directory.h"
#include "base/text.h"
#include "tests/appliance/schedule/scheduler_polls.h"

namespace appliance::schedule {
namespace {

using catalog::Catalog;
using catalog::Host;

struct Holders : ingest::Timelines {
  std::map<std::string, catalog::HostId> hosts;  // by machine

  std::optional<ingest::TimelineHolder> holder(const catalog::TenantName&,
                                               const std::string&) override {
    return std::nullopt;
  }
  std::map<std::string, catalog::HostId> holders(const catalog::TenantName&) override {
    return hosts;
  }
};

// A scheduler of one appliance, with agents that the test plays.
struct Appliance {
  base::ScratchDirectory scratch{"/tmp", "muletto-scheduler-test"};
  std::unique_ptr<Catalog> catalog = Catalog::open(scratch.path() + "/catalog.sqlite");
  stores::TenantStores stores{base::real_file_system(), scratch.path() + "/stores", *catalog};
  jobs::JobRunner jobs{*catalog, {.thread_count = 1}};
  Policies policies{*catalog};
  Holders timelines;  // of machines that run as instant VMs
  alerts::HostConduct conduct;
  Scheduler scheduler;

  explicit Appliance(const Limits& limits)
      : scheduler(*catalog, policies, jobs, limits, {&timelines, &conduct}) {}

  // Exactly one host is complained of, and this is said of it.
  void expect_complaint(const std::string& host, const std::string& words) {
    auto complaints = conduct.conditions();
    REQUIRE(complaints.size() == 1);
    CHECK(complaints.front().subject == host);
    CHECK_THAT(complaints.front().message, Catch::Contains(words));
  }

  Host enroll(const std::string& name) {
    base::Sha256 hash = base::sha256(base::as_bytes("secret of " + name));
    catalog->add_token({catalog::TokenId::random(),
                        catalog::TokenKind::enrolment,
                        catalog::TenantName(kTenant),
                        "",
                        1,
                        1000,
                        {}},
                       hash);
    Host host;
    host.id = catalog::HostId::random();
    host.tenant = catalog::TenantName(kTenant);
    host.name = name;
    host.certificate_serial = host.id.hex();
    catalog->enroll_host(hash, host, 10);
    return host;
  }

  void set_policy(const std::string& name, const std::string& json) {
    catalog->set_policy(kTenant, name,
                        policy::policy_to_json(policy::policy_from_json(name, json)));
  }
};

using Names = std::vector<std::string>;

// Its one agent was just given the order for its one machine, which is due every hour.
struct OrderedAppliance : Appliance {
  Host alpha = enroll("alpha");
  PollAnswer first;

  OrderedAppliance() : Appliance({}) {
    set_policy("default", R"({"protect_new": true, "schedule": ["every 1h"]})");
    first = scheduler.poll(alpha, report({"web"}));
    REQUIRE(names(first) == Names{"web"});
  }
};

}  // namespace

TEST_CASE("what is due goes out by priority, within the limit of a host and of the appliance") {
  Appliance appliance({.syncs = 3, .host_syncs = 2});
  Host alpha = appliance.enroll("alpha"), beta = appliance.enroll("beta");
  appliance.set_policy("default", R"({"protect_new": true})");
  appliance.set_policy("urgent", R"({"priority": 9})");
  appliance.scheduler.poll(alpha, report({}));
  appliance.scheduler.poll(beta, report({}));

  CHECK(appliance.scheduler.poll(beta, report({"b1", "b2"})).orders.size() == 2);
  // One place is left, and it is for the machine with the highest priority.
  for (const char* name : {"a1", "a2", "a3"}) {
    catalog::Protection protection;
    protection.tenant = kTenant;
    protection.machine = name;
    protection.wanted = true;
    protection.noticed_ms = 1;
    if (std::string(name) == "a3") protection.policy = "urgent";
    appliance.catalog->save_protection(protection);
  }
  CHECK(names(appliance.scheduler.poll(alpha, report({"a1", "a2", "a3"}))) == Names{"a3"});
}

TEST_CASE("a machine has one order at a time, and one that got lost is given again") {
  OrderedAppliance appliance;
  const Host& alpha = appliance.alpha;
  const PollAnswer& first = appliance.first;
  CHECK(appliance.scheduler.poll(alpha, running(first)).orders.empty());
  CHECK_THROWS_AS(appliance.scheduler.request(kTenant, "web", access::Requester("root")),
                  base::Error);
  // The agent was restarted: it does not name the order any more.
  PollAnswer again = appliance.scheduler.poll(alpha, {});
  REQUIRE(names(again) == Names{"web"});
  CHECK(again.orders[0].id != first.orders[0].id);
  // A sync that ended well is not due again within the hour.
  Poll done;
  done.outcomes.push_back({again.orders[0].id, true, ""});
  appliance.scheduler.committed(kTenant, "web");
  CHECK(appliance.scheduler.poll(alpha, done).orders.empty());
}

TEST_CASE("who asks for a sync as soon as the last one's job is over gets one") {
  OrderedAppliance appliance;
  const Host& alpha = appliance.alpha;
  const PollAnswer& first = appliance.first;
  CHECK_THROWS_WITH(appliance.scheduler.request(kTenant, "web", access::Requester("root")),
                    Catch::Contains("job 1"));
  // The point is durable and its job over; the agent's sync still has to end.
  auto session = appliance.scheduler.adopt(kTenant, "web", alpha.id);
  REQUIRE(session);
  session->succeed();
  appliance.scheduler.committed(kTenant, "web");
  jobs::JobId second = appliance.scheduler.request(kTenant, "web", access::Requester("root"));
  CHECK(second != session->id());
  CHECK_THROWS_WITH(appliance.scheduler.request(kTenant, "web", access::Requester("root")),
                    Catch::Contains("job 2"));
  CHECK(appliance.scheduler.adopt(kTenant, "web", alpha.id) == nullptr);
  CHECK(appliance.scheduler.poll(alpha, running(first)).orders.empty());

  SECTION("it goes out when the agent says that the first one is over") {
    Poll done;
    done.outcomes.push_back({first.orders[0].id, true, ""});
    PollAnswer answer = appliance.scheduler.poll(alpha, done);
    REQUIRE(names(answer) == Names{"web"});
    CHECK(answer.orders[0].id != first.orders[0].id);
    CHECK(appliance.scheduler.adopt(kTenant, "web", alpha.id)->id() == second);
  }
  SECTION("the same when the agent died meanwhile") {
    PollAnswer answer = appliance.scheduler.poll(alpha, report({"web"}));
    REQUIRE(names(answer) == Names{"web"});
    CHECK(appliance.scheduler.adopt(kTenant, "web", alpha.id)->id() == second);
  }
  SECTION("it fails in words when the daemon ends first") {
    appliance.scheduler.stop();
    CHECK_THAT(appliance.jobs.job(second).error_message,
               Catch::Contains("ended before the sync started"));
  }
}

TEST_CASE("a failed sync is tried again after a pause, and says why") {
  Appliance appliance({});
  Host alpha = appliance.enroll("alpha");
  appliance.set_policy("default", R"({"protect_new": true})");
  PollAnswer first = appliance.scheduler.poll(alpha, report({"web"}));
  Poll failed;
  failed.outcomes.push_back({first.orders.at(0).id, false, "the disk is on fire"});
  CHECK(appliance.scheduler.poll(alpha, failed).orders.empty());
  auto protection = appliance.catalog->find_protection(kTenant, "web");
  REQUIRE(protection);
  CHECK(protection->failures == 1);
  CHECK(protection->last_error == "the disk is on fire");
  CHECK(protection->retry_ms > base::now_ms());
  CHECK(appliance.jobs.jobs({.scope = catalog::TenantScope::all()}).at(0).error_message ==
        "the disk is on fire");
}

TEST_CASE("no sync begins in a blackout, with the schedule off, or unprotected; by hand it does") {
  Appliance appliance({});
  Host alpha = appliance.enroll("alpha");
  appliance.set_policy("default", R"({"protect_new": true, "blackout": ["0-24"]})");
  CHECK(appliance.scheduler.poll(alpha, report({"web"})).orders.empty());
  appliance.set_policy("default", R"({"protect_new": true, "schedule": ["off"]})");
  CHECK(appliance.scheduler.poll(alpha, {}).orders.empty());
  appliance.set_policy("default", "{}");
  appliance.scheduler.protect(kTenant, "web", false, std::nullopt);
  CHECK(appliance.scheduler.poll(alpha, {}).orders.empty());
  appliance.scheduler.request(kTenant, "web", access::Requester("root"));
  CHECK(names(appliance.scheduler.poll(alpha, {})) == Names{"web"});
}

TEST_CASE("a host is told the bandwidth of the policies whose machines it syncs") {
  Appliance appliance({});
  Host alpha = appliance.enroll("alpha");
  appliance.set_policy("default", R"({"protect_new": true, "bandwidth": "20M"})");
  PollAnswer answer = appliance.scheduler.poll(alpha, report({"web"}));
  REQUIRE(answer.orders.size() == 1);
  REQUIRE(answer.rate);
  CHECK(*answer.rate == base::parse_size("20M"));
  appliance.set_policy("default", R"({"protect_new": true})");
  CHECK_FALSE(appliance.scheduler.poll(alpha, running(answer)).rate);
}

TEST_CASE("a sync by hand, and one of an earlier daemon, obey the policy's bandwidth") {
  Appliance appliance({});
  Host alpha = appliance.enroll("alpha");
  appliance.set_policy("default", R"({"schedule": ["off"]})");
  appliance.set_policy("slow", R"({"schedule": ["off"], "bandwidth": "5M"})");
  appliance.scheduler.poll(alpha, report({"web", "db"}));
  appliance.scheduler.protect(kTenant, "web", false, "slow");
  appliance.scheduler.request(kTenant, "web", access::Requester("root"));
  PollAnswer answer = appliance.scheduler.poll(alpha, {});
  CHECK(names(answer) == Names{"web"});
  CHECK(answer.rate == base::parse_size("5M"));
  CHECK_FALSE(appliance.scheduler.poll(alpha, {}).rate);  // it is over
  appliance.catalog->save_order(kTenant, "web", alpha.id, 77, 1);
  Poll poll = report({"web", "db"});
  poll.running.push_back({77, "web", 1, 2});
  CHECK(appliance.scheduler.poll(alpha, poll).rate == base::parse_size("5M"));
}

TEST_CASE("a machine that is no longer protected is forgotten by its host, once and for sure") {
  Appliance appliance({});
  Host alpha = appliance.enroll("alpha"), beta = appliance.enroll("beta");
  appliance.set_policy("default", R"({"protect_new": true})");
  PollAnswer first = appliance.scheduler.poll(alpha, report({"web"}));
  appliance.scheduler.poll(beta, report({"db"}));
  appliance.scheduler.protect(kTenant, "web", false, std::nullopt);
  // Not while it is being synced, and not by another host.
  CHECK(appliance.scheduler.poll(alpha, running(first)).to_forget.empty());
  Poll done;
  done.outcomes.push_back({first.orders[0].id, true, ""});
  CHECK(appliance.scheduler.poll(alpha, done).to_forget == Names{"web"});
  CHECK(appliance.scheduler.poll(beta, {}).to_forget.empty());
  Poll claim;
  claim.forgotten.push_back({"web", ""});
  appliance.scheduler.poll(beta, claim);
  // Until it has answered.
  CHECK(appliance.scheduler.poll(alpha, {}).to_forget == Names{"web"});
  claim.forgotten[0].error = "libvirt is away";
  CHECK(appliance.scheduler.poll(alpha, claim).to_forget.empty());
  CHECK_THAT(appliance.catalog->find_protection(kTenant, "web")->last_error,
             Catch::Contains("libvirt is away") && Catch::Contains("muletto-agent forget web"));
  // A machine that was not protected is not forgotten: syncs by hand stay incremental.
  appliance.scheduler.protect(kTenant, "web", false, std::nullopt);
  CHECK(appliance.scheduler.poll(alpha, {}).to_forget.empty());
  // One that is protected again is kept.
  appliance.scheduler.protect(kTenant, "web", true, std::nullopt);
  appliance.scheduler.protect(kTenant, "web", false, std::nullopt);
  appliance.scheduler.protect(kTenant, "web", true, std::nullopt);
  CHECK(appliance.scheduler.poll(alpha, {}).to_forget.empty());
}

TEST_CASE("an order that an earlier daemon gave is taken over") {
  Appliance appliance({});
  Host alpha = appliance.enroll("alpha");
  appliance.set_policy("default", R"({"protect_new": true})");
  Poll poll = report({"web"});
  poll.running.push_back({77, "web", 1, 2});
  appliance.catalog->save_order(kTenant, "web", alpha.id, 77, 1);
  CHECK(appliance.scheduler.poll(alpha, poll).orders.empty());
  CHECK(appliance.conduct.conditions().empty());
}

TEST_CASE("orders that nobody gave hide no machine and fill no place") {
  Appliance appliance({.syncs = 2, .host_syncs = 2});
  Host thief = appliance.enroll("thief"), beta = appliance.enroll("beta");
  appliance.set_policy("default", R"({"protect_new": true})");
  appliance.catalog->save_order(kTenant, "b1", beta.id, 5, 1);
  Poll claims = report({});
  for (uint64_t id = 1; id < 9; ++id)
    claims.running.push_back({id, "x" + std::to_string(id), 0, 0});
  claims.running.push_back({5, "b1", 0, 0});                        // another host's order
  claims.running.push_back({base::now_ms() + 99'999, "b2", 0, 0});  // one of this daemon
  appliance.scheduler.poll(thief, claims);
  appliance.expect_complaint("thief", "claims orders");
  CHECK(appliance.scheduler.poll(beta, report({"b1", "b2"})).orders.size() == 2);
}

TEST_CASE("orders of an earlier daemon count against their own host alone") {
  Appliance appliance({.syncs = 1, .host_syncs = 1});
  Host alpha = appliance.enroll("alpha"), beta = appliance.enroll("beta");
  appliance.set_policy("default", R"({"protect_new": true})");
  Poll poll = report({"a1", "a2", "a3"});
  for (const char* name : {"a1", "a2"}) {
    appliance.catalog->save_order(kTenant, name, alpha.id, 7, 1);
    poll.running.push_back({7, name, 0, 0});
  }
  CHECK(appliance.scheduler.poll(alpha, poll).orders.empty());
  CHECK(names(appliance.scheduler.poll(beta, report({"b1"}))) == Names{"b1"});
}

TEST_CASE("who names a neighbour's machine is not given its orders") {
  Appliance appliance({});
  Host alpha = appliance.enroll("alpha"), thief = appliance.enroll("thief");
  appliance.set_policy("default", R"({"protect_new": true})");
  appliance.scheduler.poll(alpha, report({}));
  CHECK(names(appliance.scheduler.poll(alpha, report({"web"}))) == Names{"web"});
  CHECK(appliance.scheduler.poll(thief, report({"web"})).orders.empty());
  appliance.expect_complaint("thief", "another host");
  // It moved to another host: the first one does not have it any more.
  appliance.scheduler.poll(alpha, report({}));
  Host beta = appliance.enroll("beta");
  CHECK(names(appliance.scheduler.poll(beta, report({"web"}))) == Names{"web"});
}

TEST_CASE("a host cannot report machines without end") {
  Appliance appliance({});
  Host alpha = appliance.enroll("alpha");
  std::vector<std::string> many;
  for (uint64_t i = 0; i < Catalog::kNewMachinesADay + 50; ++i)
    many.push_back("m" + std::to_string(i));
  appliance.scheduler.poll(alpha, report(many));
  CHECK(appliance.catalog->protections(kTenant).size() == Catalog::kNewMachinesADay);
  appliance.expect_complaint("alpha", "new machines");
  // Another host's names are its own affair.
  Host beta = appliance.enroll("beta");
  appliance.scheduler.poll(beta, report({"web"}));
  CHECK(appliance.catalog->find_protection(kTenant, "web").has_value());
  images::MachineId id;
  for (uint64_t i = 0; i < Catalog::kNewMachinesADay; ++i) {
    id.bytes[0] = static_cast<uint8_t>(i), id.bytes[1] = static_cast<uint8_t>(i >> 8);
    appliance.catalog->claim_machine(kTenant, id, "c" + std::to_string(i), alpha.id);
  }
  id.bytes[2] = 1;
  CHECK_THROWS_WITH(appliance.catalog->claim_machine(kTenant, id, "one more", alpha.id),
                    Catch::Contains("too many machines"));
  id.bytes[2] = 2;
  appliance.catalog->claim_machine(kTenant, id, "of beta", beta.id);
}

TEST_CASE("orders for a machine that runs as an instant VM are for the appliance's own host") {
  Appliance appliance({});
  Host alpha = appliance.enroll("alpha");
  appliance.set_policy("default", R"({"protect_new": true})");
  PollAnswer given = appliance.scheduler.poll(alpha, report({"web"}));
  REQUIRE(names(given) == Names{"web"});

  // The instant VM starts while the old host has an order; the host is silent from now on.
  Host internal;
  internal.id = catalog::HostId::random();
  internal.tenant = catalog::TenantName(kTenant);
  internal.name = catalog::kInternalHostName;
  appliance.catalog->replace_internal_host(internal, base::now_ms());
  appliance.timelines.hosts["web"] = internal.id;
  Poll poll;
  poll.internal = true;
  poll.machines = {"web"};
  CHECK(appliance.scheduler.poll(internal, poll).orders.empty());  // the last was just begun
  appliance.scheduler.request(kTenant, "web", access::Requester("root"));
  PollAnswer own = appliance.scheduler.poll(internal, poll);
  CHECK(names(own) == Names{"web"});
  CHECK(appliance.jobs.jobs({.scope = catalog::TenantScope::all()})
            .back()
            .error_message.find("instant VM") != std::string::npos);
  CHECK_FALSE(appliance.catalog->find_report(internal.id));

  // The old host comes back, and gets nothing: by schedule or by hand.
  poll.outcomes.push_back({own.orders.at(0).id, true, ""});
  poll.machines.clear();
  appliance.scheduler.poll(internal, poll);
  CHECK(appliance.scheduler.poll(alpha, report({"web"})).orders.empty());
  CHECK_THROWS_WITH(appliance.scheduler.request(kTenant, "web", access::Requester("root")),
                    Catch::Contains("is not running"));
  appliance.timelines.hosts.clear();
  appliance.scheduler.request(kTenant, "web", access::Requester("root"));
  CHECK(names(appliance.scheduler.poll(alpha, {})) == Names{"web"});
}

TEST_CASE("a tenant's store is compacted once a day, and checked once a week") {
  base::ScratchDirectory scratch("/tmp", "muletto-upkeep-test");
  std::string path = scratch.path() + "/catalog.sqlite";
  auto catalog = Catalog::open(path);
  stores::TenantStores stores(base::real_file_system(), scratch.path() + "/stores", *catalog);
  for (const char* tenant : {"young", "checked", "hurt", "cut"})
    catalog->add_tenant(catalog::TenantName(tenant), base::now_ms());
  for (const catalog::Tenant& tenant : catalog->tenants(catalog::TenantScope::all())) {
    images::PointSummary point;
    point.id = images::PointId::random();
    point.machine_name = "web";
    catalog->add_point(tenant.name, point);
  }
  catalog::sqlite::Database database(path);
  database.execute("UPDATE tenants SET created_ms = 1 WHERE name <> 'young'");
  // Two days ago the store of one was found whole, that of one damaged, and one was not finished.
  auto checked = [&](const char* tenant, catalog::JobState state,
                     std::optional<base::ErrorCode> error) {
    catalog::Job job;
    job.kind = "check";
    job.tenant = catalog::TenantName(tenant);
    job.subject = tenant;
    job.created_ms = base::now_ms() - 48 * 3'600'000;
    job.id = catalog->add_job(job);
    job.state = state;
    job.error_code = error;
    job.ended_ms = job.created_ms;
    catalog->end_job(job);
  };
  checked("checked", catalog::JobState::succeeded, {});
  checked("hurt", catalog::JobState::failed, base::ErrorCode::corrupt);
  checked("cut", catalog::JobState::failed, base::ErrorCode::unavailable);
  uint64_t begun_ms = base::now_ms();

  jobs::JobRunner jobs(*catalog, {.thread_count = 1});
  StoreUpkeep upkeep(*catalog, stores, jobs);
  auto ordered = [&](const char* kind) {
    std::set<std::string> tenants;
    for (const catalog::Job& job :
         catalog->jobs({.scope = catalog::TenantScope::all(), .kind = kind})) {
      if (job.created_ms >= begun_ms && job.state == catalog::JobState::succeeded)
        tenants.insert(job.tenant);
    }
    return tenants;
  };
  const std::set<std::string> to_compact{kTenant, "checked", "hurt", "cut"},
      to_check{kTenant, "cut"};
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while ((ordered("compact") != to_compact || ordered("check") != to_check) &&
         std::chrono::steady_clock::now() < deadline) {
    upkeep.round(base::now_ms());
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  CHECK(ordered("compact") == to_compact);
  CHECK(ordered("check") == to_check);
  CHECK(catalog->last_store_check(kTenant)->problem_count == 0);
  CHECK_FALSE(catalog->last_store_check("young"));
}

}  // namespace appliance::schedule
