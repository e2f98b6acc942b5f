#include "appliance/homeward/host_restores.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_access.h"
#include "base/scratch_directory.h"
#include "base/socket_stream.h"
#include "tests/appliance/catalog/catalogs.h"

namespace appliance::homeward {
namespace {

using base::ErrorCode;
using State = RestoreReport::State;

const catalog::TenantName kTenant(catalog::kDefaultTenant);

struct Appliance {
  base::ScratchDirectory scratch{"/tmp", "muletto-host-restores-test"};
  std::unique_ptr<catalog::Catalog> catalog =
      catalog::Catalog::open(scratch.path() + "/catalog.sqlite");
  stores::TenantStores stores{base::real_file_system(), scratch.path() + "/stores", *catalog};
  jobs::JobRunner jobs{*catalog, {}};
  base::ManualClock clock;
  HostRestores restores{*catalog, stores, jobs, clock};
  catalog::Host alpha = catalog::enrolled(*catalog, "alpha"),
                beta = catalog::enrolled(*catalog, "beta");
  images::PointId point = add_point();

  images::PointId add_point() {
    stores.open_existing();
    images::SyncPlan plan{"web", {{"vda", 1 << 20, {}}, {"vdb", 1 << 20, {}}}};
    return stores.writer(kTenant)->begin(plan)->commit({});
  }
  jobs::JobId order(std::vector<std::string> disks = {}) {
    return restores.order(
        {kTenant, alpha.id, point, std::move(disks), false, "{\"folder\": \"/x\"}"},
        access::Requester("root"));
  }
  nlohmann::json polled(const catalog::Host& host) {
    RestoreAnswer answer = restores.poll(host, {});
    REQUIRE(answer.orders.size() == 1);
    return *base::find_json(answer.orders.front());
  }
  static images::wire::Ticket ticket_of(const nlohmann::json& order) {
    images::wire::Ticket ticket;
    base::Bytes bytes = base::from_hex(order["ticket"].get<std::string>(), 32);
    std::copy(bytes.begin(), bytes.end(), ticket.bytes.begin());
    return ticket;
  }
  ErrorCode code_of_open(const catalog::Host& host, const images::wire::Ticket& ticket) {
    auto [near, far] = base::make_stream_pair();
    try {
      restores.open(host, ticket, *near);
      return ErrorCode::already_exists;  // that is, it was opened
    } catch (const base::Error& error) {
      return error.code();
    }
  }
};

constexpr ErrorCode kOpened = ErrorCode::already_exists;

}  // namespace

TEST_CASE("a ticket opens its point for its host, from the order to its end") {
  Appliance appliance;
  jobs::JobId job = appliance.order({"vdb"});
  CHECK(appliance.restores.poll(appliance.beta, {}).orders.empty());
  nlohmann::json order = appliance.polled(appliance.alpha);
  CHECK(order["machine"] == "web");
  CHECK(order["disks"] == nlohmann::json{"vdb"});
  CHECK(order["folder"] == "/x");
  auto ticket = Appliance::ticket_of(order);
  CHECK(appliance.code_of_open(appliance.alpha, ticket) == kOpened);
  CHECK(appliance.code_of_open(appliance.beta, ticket) == ErrorCode::unauthorized);
  CHECK(appliance.code_of_open(appliance.alpha, {}) == ErrorCode::unauthorized);
  auto [near, far] = base::make_stream_pair();
  {
    auto opened = appliance.restores.open(appliance.alpha, ticket, *near);
    REQUIRE(opened->disks.size() == 1);
    CHECK(opened->point.disks[0].name == "vdb");
    CHECK_FALSE(opened->tells_definition);
  }
  uint64_t id = order["order"].get<uint64_t>();
  // Another host's word counts for nothing.
  appliance.restores.poll(appliance.beta, {{.order = id, .state = State::succeeded}});
  CHECK(appliance.code_of_open(appliance.alpha, ticket) == kOpened);
  appliance.restores.poll(appliance.alpha,
                          {{.order = id, .state = State::succeeded, .notes = {"done well"}}});
  CHECK(appliance.jobs.job(job).state == catalog::JobState::succeeded);
  CHECK(appliance.code_of_open(appliance.alpha, ticket) == ErrorCode::unauthorized);
  CHECK(appliance.restores.poll(appliance.alpha, {}).orders.empty());
}

TEST_CASE("an order is given again until it is named, and one that nobody knows is ended") {
  Appliance appliance;
  appliance.order();
  uint64_t id = appliance.polled(appliance.alpha)["order"].get<uint64_t>();
  CHECK(appliance.polled(appliance.alpha)["order"] == id);
  RestoreReport running{.order = id, .state = State::running, .done = 5, .total = 10};
  CHECK(appliance.restores.poll(appliance.alpha, {running}).orders.empty());
  CHECK(appliance.polled(appliance.alpha)["order"] == id);  // it was restarted
  RestoreAnswer answer = appliance.restores.poll(appliance.alpha, {running, {.order = 77}});
  CHECK(answer.ended == std::vector<uint64_t>{77});
  // No more than two at a time.
  for (int i = 0; i < 3; ++i) appliance.order();
  CHECK(appliance.restores.poll(appliance.alpha, {running}).orders.size() == 1);
}

TEST_CASE("cancelled, revoked, silent and stopped orders end, and so do their tickets") {
  Appliance appliance;
  jobs::JobId job = appliance.order();
  nlohmann::json order = appliance.polled(appliance.alpha);
  auto ticket = Appliance::ticket_of(order);
  RestoreReport running{.order = order["order"].get<uint64_t>(), .state = State::running};
  auto expected = catalog::JobState::failed;
  SECTION("cancelled") {
    appliance.restores.poll(appliance.alpha, {running});
    appliance.jobs.cancel(job);
    CHECK(appliance.code_of_open(appliance.alpha, ticket) == ErrorCode::unauthorized);
    CHECK(appliance.restores.poll(appliance.alpha, {running}).ended.size() == 1);
    appliance.restores.tend();
    expected = catalog::JobState::cancelled;
  }
  SECTION("revoked") {
    appliance.catalog->revoke_host(appliance.alpha.id);
    appliance.restores.tend();
  }
  SECTION("an agent that does not know what a restore is") {
    appliance.clock.pass(HostRestores::kBeginMs + 1);
    appliance.polled(appliance.alpha);
    appliance.restores.tend();
  }
  SECTION("silent") {
    appliance.restores.poll(appliance.alpha, {running});
    appliance.clock.pass(HostRestores::kBeginMs + 1);
    appliance.restores.tend();
    CHECK(appliance.jobs.job(job).state == catalog::JobState::running);
    appliance.clock.pass(HostRestores::kSilenceMs);
    appliance.restores.tend();
  }
  SECTION("stopped") { appliance.restores.stop(); }
  CHECK(appliance.jobs.job(job).state == expected);
  CHECK(appliance.code_of_open(appliance.alpha, ticket) == ErrorCode::unauthorized);
}

TEST_CASE("what cannot be ordered") {
  Appliance appliance;
  CHECK_THROWS_AS(appliance.order({"vdz"}), base::Error);
  appliance.catalog->revoke_host(appliance.alpha.id);
  CHECK_THROWS_WITH(appliance.order(), Catch::Matchers::Contains("revoked"));
  HostRestore elsewhere{
      catalog::TenantName("other"), appliance.beta.id, appliance.point, {}, false, ""};
  CHECK_THROWS_AS(appliance.restores.order(elsewhere, access::Requester("root")), base::Error);
}

}  // namespace appliance::homeward
