// What goes across the aggregates of a catalog, and what is SQLite's alone. Each aggregate has its
// contract test beside this file.
#include "appliance/catalog/catalog.h"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "appliance/catalog/catalog_copy.h"
#include "appliance/catalog/sqlite/database.h"
#include "appliance/catalog/sqlite/schema.h"
#include "base/file_system.h"
#include "base/scratch_directory.h"
#include "tests/appliance/catalog/catalogs.h"

namespace appliance::catalog {
namespace {

using base::ErrorCode;

base::ScratchDirectory make_scratch() { return {"/tmp", "muletto-catalog"}; }

std::string path_in(const base::ScratchDirectory& scratch) {
  return scratch.path() + "/catalog.sqlite";
}

}  // namespace

TEST_CASE("a visitor takes no catalog away that is in use, also after it was copied") {
  base::ScratchDirectory scratch = make_scratch();
  auto catalog = Catalog::open(path_in(scratch));
  catalog->save_fact("before", "the copy");
  copy_catalog(path_in(scratch), scratch.path() + "/copy.sqlite");
  pid_t visitor = ::fork();
  REQUIRE(visitor >= 0);
  if (visitor == 0) {
    {
      sqlite::Database database(path_in(scratch));
      database.prepare("SELECT count(*) FROM tenants").step();
    }
    ::_exit(0);  // whose last connection would remove the write-ahead log
  }
  int status = 0;
  REQUIRE(::waitpid(visitor, &status, 0) == visitor);
  REQUIRE(status == 0);
  CHECK(std::filesystem::exists(path_in(scratch) + "-wal"));
  catalog->save_fact("after", "the visit");
  sqlite::Database database(path_in(scratch));
  sqlite::Statement rows = database.prepare("SELECT count(*) FROM facts WHERE name = 'after'");
  REQUIRE(rows.step());
  CHECK(rows.integer(0) == 1);
}

TEST_CASE("what was written is there after the catalog is opened again") {
  base::ScratchDirectory scratch = make_scratch();
  Host host;
  images::PointSummary point = make_point("web", 100);
  {
    auto catalog = Catalog::open(path_in(scratch));
    host = enrolled(*catalog, "alpha");
    catalog->claim_machine(kDefaultTenant, point.machine, "web", host.id);
    catalog->add_point(kDefaultTenant, point);
  }
  auto catalog = Catalog::open(path_in(scratch));
  CHECK(catalog->host("alpha", TenantScope::all()).id == host.id);
  Machine machine = catalog->machine(kDefaultTenant, "web");
  CHECK(machine.host == host.id);
  CHECK(machine.host_name == "alpha");
  CHECK(machine.point_count == 1);
  CHECK(machine.latest_point == point.id);
}

TEST_CASE("a catalog of a newer version is refused, not changed") {
  base::ScratchDirectory scratch = make_scratch();
  Catalog::open(path_in(scratch));
  sqlite::Database(path_in(scratch)).execute("PRAGMA user_version = 999");
  CHECK(code_of([&] { Catalog::open(path_in(scratch)); }) == ErrorCode::unsupported);
}

TEST_CASE("a file that is no database is refused") {
  base::ScratchDirectory scratch = make_scratch();
  std::string junk(8192, 'x');
  base::write_file_durably(base::real_file_system(), path_in(scratch), base::as_bytes(junk));
  CHECK(code_of([&] { Catalog::open(path_in(scratch)); }) == ErrorCode::corrupt);
}

TEST_CASE("a catalog knows which store is whose, also one of an older version") {
  base::ScratchDirectory scratch = make_scratch();
  {
    sqlite::Database database(path_in(scratch));
    sqlite::migrate(database, 6);  // before stores had an identity
    database.execute("INSERT INTO tenants(name, created_ms) VALUES ('acme', 1)");
  }
  auto catalog = Catalog::open(path_in(scratch));
  REQUIRE(catalog->find_store("acme"));
  CHECK_FALSE(catalog->find_store("acme")->id);
  catalog->add_tenant("new", 1);
  CHECK_FALSE(catalog->find_store("new"));
  images::StoreId id = images::StoreId::random();
  catalog->save_store("new", {id, "/mnt/new"});
  CHECK(catalog->find_store("new")->id == id);
  CHECK(catalog->find_store("new")->directory == "/mnt/new");
  CHECK(catalog->tenants_with_store(id) == std::vector<TenantName>{"new"});
  CHECK_FALSE(catalog->find_fact("authority"));
  catalog->save_fact("authority", "abc");
  CHECK(catalog->find_fact("authority") == "abc");
}

TEST_CASE("jobs of a catalog of an older version are anybody's, and fail with the first node") {
  base::ScratchDirectory scratch = make_scratch();
  {
    sqlite::Database database(path_in(scratch));
    sqlite::migrate(database, 11);  // before jobs named a node
    database.execute(
        "INSERT INTO tenants(name, created_ms) VALUES ('default', 1);"
        "INSERT INTO jobs(kind, tenant, subject, state, created_ms) "
        "VALUES ('sync', 1, 'web', 'running', 1)");
  }
  auto catalog = Catalog::open(path_in(scratch));
  std::optional<Job> job = catalog->find_job(JobId{1});
  REQUIRE(job);
  CHECK(job->requested_by.empty());
  CHECK(job->node.is_zero());
  CHECK(catalog->fail_unfinished_jobs(NodeId::random(), "interrupted", 5) == 1);
  CHECK(catalog->find_job(JobId{1})->state == JobState::failed);
}

TEST_CASE("a list has what its scope sees, and nothing else") {
  base::ScratchDirectory scratch = make_scratch();
  auto catalog = Catalog::open(path_in(scratch));
  const TenantName ours(kDefaultTenant), theirs("acme");
  catalog->add_tenant(theirs, 1);
  for (const TenantName& tenant : {ours, theirs}) {
    base::Sha256 hash = base::sha256(base::as_bytes(tenant.text()));
    catalog->add_token({TokenId::random(), TokenKind::enrolment, tenant, "", 1, {}, {}}, hash);
    Host host = make_host("alpha");
    host.tenant = tenant;
    catalog->enroll_host(hash, host, 10);
    catalog->add_point(tenant, make_point("web", 1));
    catalog->add_job({.kind = "sync", .tenant = tenant, .subject = "web"});
    catalog->open_alert({.tenant = tenant, .kind = "host-silent", .subject = "alpha"});
    Verification seen;
    seen.tenant = tenant;
    seen.machine_name = "web";
    seen.reasons = seen.checks = seen.evidence = "[]";
    catalog->add_verification(seen, {});
  }
  auto counts = [&](const TenantScope& scope) {
    return std::vector<size_t>{catalog->tenants(scope).size(),
                               catalog->hosts(scope).size(),
                               catalog->tokens(scope).size(),
                               catalog->machines(scope).size(),
                               catalog->jobs({.scope = scope}).size(),
                               catalog->alerts(scope, true, 10).size(),
                               catalog->verifications(scope, "", 10).size()};
  };
  CHECK(counts(TenantScope::all()) == std::vector<size_t>(7, 2));
  CHECK(counts(theirs) == std::vector<size_t>(7, 1));
  CHECK(counts(TenantScope()) == std::vector<size_t>(7, 0));
  CHECK(code_of([&] { counts(TenantName("nobody")); }) == ErrorCode::not_found);
  // One name in two tenants means one host in each.
  CHECK(catalog->host("alpha", theirs).tenant == theirs);
  Token of_ours = catalog->tokens(ours).at(0);
  CHECK(code_of([&] { catalog->revoke_token(of_ours.id.hex(), theirs); }) == ErrorCode::not_found);
  CHECK(code_of([&] { catalog->acknowledge_alert(1, theirs, {}, 5); }) == ErrorCode::not_found);
  CHECK(code_of([&] { catalog->verification(theirs, 1); }) == ErrorCode::not_found);
  CHECK(catalog->acknowledge_alert(1, ours, {}, 5).acknowledged_ms == 5u);
  CHECK(catalog->acknowledge_alert(1, ours, {}, 6).acknowledged_ms == 5u);
}

TEST_CASE("what is old goes by itself, a bounded number at a time") {
  base::ScratchDirectory scratch = make_scratch();
  auto catalog = Catalog::open(path_in(scratch));
  const TenantName tenant(kDefaultTenant);
  constexpr uint64_t kDay = 24 * 3'600'000, kNow = 1000 * kDay;
  for (int i = 0; i < 30; ++i) {
    Job job;
    job.kind = "sync";
    job.tenant = tenant;
    job.created_ms = i < 20 ? kDay : kNow;
    job.id = catalog->add_job(job);
    catalog->log_job(job.id, "a line", kNow);
    job.state = JobState::succeeded;
    job.ended_ms = job.created_ms;
    if (i != 0) catalog->end_job(job);  // the first one runs still
    Alert alert;
    alert.tenant = tenant;
    alert.kind = "machine-overdue";
    alert.subject = std::to_string(i);
    catalog->open_alert(alert);
    if (i < 10) catalog->close_alert(tenant, alert.kind, alert.subject, i < 5 ? kDay : kNow);
  }
  Host gone = enrolled(*catalog, "gone");
  catalog->save_report({gone.id, 1, "{}"});
  catalog->revoke_host(gone.id);
  images::PointSummary point = make_point("web", kNow);
  catalog->add_point(tenant, point);
  catalog->hold_point(tenant, {point.id, "", 1, kDay});

  PruneLimits limits;
  limits.finished_jobs = 15;
  limits.rows = 8;
  PruneCounts counts = catalog->prune(limits, kNow);
  CHECK(counts.jobs == 8);
  counts = catalog->prune(limits, kNow);
  CHECK(counts.jobs == 6);
  CHECK(catalog->prune(limits, kNow).jobs == 0);
  auto jobs = catalog->jobs({.scope = TenantScope::all()});
  CHECK(jobs.size() == 16);  // the newest 15 that ended, and the one that runs
  for (const Job& job : jobs) {
    bool is_old = job.ended_ms && *job.ended_ms < kNow;
    CHECK(catalog->job_log(job.id, 0, 10).size() == (is_old ? 0 : 1));
  }
  CHECK(catalog->alerts(tenant, true, 100).size() == 25);
  CHECK(catalog->tokens(TenantScope::all()).empty());
  CHECK_FALSE(catalog->find_report(gone.id));
  CHECK(catalog->holds(tenant, 0).empty());
}

}  // namespace appliance::catalog
