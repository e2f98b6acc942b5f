// What many syncs, jobs and test boots show together.
#include "appliance/schedule/slow_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "appliance/alerts/alert_book.h"
#include "appliance/schedule/alert_watch.h"
#include "base/scratch_directory.h"
#include "tests/appliance/catalog/catalogs.h"

namespace appliance::schedule {
namespace {

constexpr uint64_t kMiB = 1 << 20, kHour = 3'600'000;
const catalog::TenantName kTenant(catalog::kDefaultTenant);

struct Fixture {
  base::ScratchDirectory scratch{"/tmp", "muletto-slow"};
  std::unique_ptr<catalog::Catalog> catalog =
      catalog::Catalog::open(scratch.path() + "/catalog.sqlite");
  base::ManualClock clock;
  std::vector<alerts::HardwareProblem> hardware;
  std::vector<catalog::Hold> held;
  SlowWatch watch{{.catalog = *catalog,
                   .version = "2.0.0",
                   .directories = {},
                   .hold = [this](const catalog::TenantName&,
                                  const catalog::Hold& hold) { held.push_back(hold); },
                   .hardware = [this] { return hardware; },
                   .clock = clock}};

  void add_job(const std::string& kind, catalog::JobState state, const std::string& figures) {
    catalog::Job job;
    job.kind = kind;
    job.tenant = kTenant;
    job.subject = "web";
    job.created_ms = clock.wall_ms();
    job.id = catalog->add_job(job);
    job.state = state;
    job.figures = figures;
    job.error_message = "no space";
    job.ended_ms = clock.wall_ms();
    catalog->end_job(job);
  }
  std::string sync(uint64_t read, uint64_t stored) {
    clock.pass(kHour);
    std::string point = images::PointId::random().hex();
    add_job("sync", catalog::JobState::succeeded,
            fmt::format(R"({{"bytes_read": {}, "bytes_stored": {}, "point": "{}"}})", read, stored,
                        point));
    return point;
  }
  std::optional<alerts::Condition> find(const char* kind) {
    clock.pass(60'000);
    watch.round();
    for (const alerts::Condition& each : watch.conditions()) {
      if (each.kind == kind) return each;
    }
    return std::nullopt;
  }
};

}  // namespace

TEST_CASE("data that looks encrypted is an alert, and the newest clean point is held",
          "[schedule]") {
  Fixture fixture;
  fixture.catalog->add_point(kTenant, catalog::make_point("web", 5));
  fixture.sync(40'000 * kMiB, 20'000 * kMiB);
  std::string clean;
  for (int i = 0; i < 20; ++i) clean = fixture.sync(100 * kMiB, 40 * kMiB);
  CHECK_FALSE(fixture.find(alerts::kDataLooksEncrypted));
  fixture.sync(9'000 * kMiB, 8'950 * kMiB);
  auto found = fixture.find(alerts::kDataLooksEncrypted);
  REQUIRE(found);
  CHECK(found->subject == "web");
  CHECK_THAT(found->message, Catch::Contains(clean));
  REQUIRE(fixture.held.size() == 1);
  CHECK(fixture.held.front().point.hex() == clean);
}

TEST_CASE("compactions that fail, old agents and sick disks are alerts", "[schedule]") {
  Fixture fixture;
  for (int i = 0; i < 2; ++i) fixture.add_job("compact", catalog::JobState::failed, "{}");
  CHECK_FALSE(fixture.find(alerts::kCompactionFailing));
  fixture.add_job("compact", catalog::JobState::failed, "{}");
  CHECK_THAT(fixture.find(alerts::kCompactionFailing)->message, Catch::Contains("no space"));
  fixture.add_job("compact", catalog::JobState::succeeded, "{}");
  CHECK_FALSE(fixture.find(alerts::kCompactionFailing));

  catalog::Host host = catalog::enrolled(*fixture.catalog, "alpha");
  fixture.catalog->touch_host(host.id, "1.9.0", 5);
  CHECK_THAT(fixture.find(alerts::kAgentOutdated)->message, Catch::Contains("1.9.0"));
  fixture.catalog->touch_host(host.id, "2.0.0", 6);
  CHECK_FALSE(fixture.find(alerts::kAgentOutdated));

  fixture.hardware = {{"/dev/sda", "the disk /dev/sda has problems"}, {"md0", "lacks a disk"}};
  CHECK_FALSE(fixture.find(alerts::kDiskErrors));  // asked once an hour
  fixture.clock.pass(kHour);
  CHECK(fixture.find(alerts::kDiskErrors)->subject == "/dev/sda");
  CHECK(fixture.find(alerts::kArrayDegraded)->subject == "md0");
}

TEST_CASE("alerts stay as they are until somebody has looked", "[schedule]") {
  Fixture fixture;
  CHECK_THROWS_AS(fixture.watch.conditions(), NotLookedYet);
  alerts::AlertBook book(*fixture.catalog, {});
  book.raise({alerts::kDiskErrors, kTenant, "/dev/sda", "it fails"}, 5);
  AlertWatch watch(
      book, {{"slow", {alerts::kDiskErrors}, [&](uint64_t) { return fixture.watch.conditions(); }}},
      [] { return std::vector<alerts::Condition>(); });
  watch.round(6);
  CHECK(fixture.catalog->alerts(kTenant, false, 10).size() == 1);
  fixture.watch.round();
  watch.round(7);
  CHECK(fixture.catalog->alerts(kTenant, false, 10).empty());
}

TEST_CASE("three inconclusive test boots in a row are an alert", "[schedule]") {
  Fixture fixture;
  fixture.catalog->add_point(kTenant, catalog::make_point("web", 5));
  auto add = [&](const char* verdict) {
    catalog::Verification seen;
    seen.tenant = kTenant;
    seen.machine_name = "web";
    seen.verdict = verdict;
    seen.reasons = seen.checks = seen.evidence = "[]";
    fixture.catalog->add_verification(seen, {});
  };
  add("pass");
  add("inconclusive");
  add("inconclusive");
  CHECK_FALSE(fixture.find(alerts::kVerificationInconclusive));
  add("inconclusive");
  CHECK(fixture.find(alerts::kVerificationInconclusive));
  add("pass");
  CHECK_FALSE(fixture.find(alerts::kVerificationInconclusive));
}

}  // namespace appliance::schedule
