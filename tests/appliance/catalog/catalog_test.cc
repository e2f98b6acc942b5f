#include "appliance/catalog/catalog.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>

#include "appliance/catalog/retention_records.h"
#include "appliance/catalog/schema.h"
#include "appliance/catalog/sqlite.h"
#include "appliance/catalog/verification_records.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/scratch_directory.h"

namespace appliance::catalog {
namespace {

using base::ErrorCode;

base::ScratchDirectory make_scratch() {
  return base::ScratchDirectory(std::filesystem::temp_directory_path().string(), "muletto-catalog");
}

std::string path_in(const base::ScratchDirectory& scratch) {
  return scratch.path() + "/catalog.sqlite";
}

template <typename Call>
ErrorCode code_of(Call call) {
  try {
    call();
  } catch (const base::Error& error) {
    return error.code();
  }
  FAIL("nothing was thrown");
  return ErrorCode::io;
}

Host make_host(const std::string& name) {
  Host host;
  host.id = HostId::random();
  host.tenant = TenantName(kDefaultTenant);
  host.name = name;
  host.certificate_serial = HostId::random().hex();
  return host;
}

// A host that enrolled with a token of its own.
Host enrolled(Catalog& catalog, const std::string& name) {
  base::Sha256 hash = base::sha256(base::as_bytes("secret of " + name));
  catalog.add_token(
      {TokenId::random(), TokenKind::enrolment, TenantName(kDefaultTenant), "", 1, 1000, {}}, hash);
  Host host = make_host(name);
  catalog.enroll_host(hash, host, 10);
  return host;
}

images::PointSummary make_point(const std::string& machine, uint64_t time_ms) {
  images::PointSummary point;
  point.id = images::PointId::random();
  base::Sha256 hash = base::sha256(base::as_bytes(machine));
  std::copy_n(hash.begin(), images::MachineId::kSize, point.machine.bytes.begin());
  point.machine_name = machine;
  point.time_ms = time_ms;
  point.dates = {time_ms, time_ms, false, false};
  point.size = 1 << 20;
  return point;
}

}  // namespace

TEST_CASE("a host is known by each certificate that it was ever given") {
  base::ScratchDirectory scratch = make_scratch();
  auto catalog = Catalog::open(path_in(scratch));
  Host host = enrolled(*catalog, "alpha"), other = enrolled(*catalog, "beta");
  catalog->add_certificate(host.id, "5e71a1", 500);
  for (const std::string& serial : {host.certificate_serial, std::string("5e71a1")})
    CHECK(catalog->find_host_by_certificate(serial)->id == host.id);
  CHECK(catalog->find_host_by_certificate(other.certificate_serial)->id == other.id);
  CHECK_FALSE(catalog->find_host_by_certificate("beef"));
  CHECK(catalog->find_host(host.id)->certificate_serial == "5e71a1");
  CHECK(catalog->find_host(host.id)->certified_ms == 500);
  catalog->revoke_host(host.id);
  CHECK(catalog->find_host_by_certificate(host.certificate_serial)->revoked);
  catalog->forget_host(host.id);
  CHECK_FALSE(catalog->find_host_by_certificate("5e71a1"));
}

TEST_CASE("a new catalog has the newest schema and the default tenant") {
  base::ScratchDirectory scratch = make_scratch();
  auto catalog = Catalog::open(path_in(scratch));
  REQUIRE(catalog->tenants(TenantScope::all()).size() == 1);
  CHECK(catalog->tenants(TenantScope::all()).front().name == kDefaultTenant);
  CHECK(code_of([&] { catalog->expect_tenant("acme"); }) == ErrorCode::not_found);
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

TEST_CASE("what a check found damaged is known until the next check, or the point is gone") {
  base::ScratchDirectory scratch = make_scratch();
  images::PointSummary whole = make_point("web", 100), hurt = make_point("web", 200),
                       gone = make_point("web", 300);
  images::PointId unlisted = images::PointId::random();
  {
    auto catalog = Catalog::open(path_in(scratch));
    for (const auto& point : {whole, hurt, gone}) catalog->add_point(kDefaultTenant, point);
    CHECK_FALSE(catalog->last_store_check(kDefaultTenant));
    catalog->save_store_check(kDefaultTenant, {7, false, 3, "a pack cannot be read"},
                              {hurt.id, gone.id, unlisted});
    catalog->remove_point(kDefaultTenant, gone.id);
  }
  auto catalog = Catalog::open(path_in(scratch));
  using Damage = std::map<images::PointId, uint64_t>;
  CHECK(catalog->damaged_points(kDefaultTenant) == Damage{{hurt.id, 7}, {unlisted, 7}});
  catalog->set_points(kDefaultTenant, {whole, hurt});
  auto rows = catalog->points(kDefaultTenant, "web");
  REQUIRE(rows.size() == 2);
  CHECK_FALSE(rows[0].damage_found_ms);
  CHECK(rows[1].damage_found_ms == 7);
  auto check = catalog->last_store_check(kDefaultTenant);
  REQUIRE(check);
  CHECK(check->checked_ms == 7);
  CHECK(check->problem_count == 3);
  CHECK(check->first_problem == "a pack cannot be read");
  catalog->save_store_check(kDefaultTenant, {8, true, 0, ""}, {});
  CHECK(catalog->last_store_check(kDefaultTenant)->problem_count == 0);
  CHECK(catalog->damaged_points(kDefaultTenant).empty());
}

TEST_CASE("a catalog of a newer version is refused, not changed") {
  base::ScratchDirectory scratch = make_scratch();
  Catalog::open(path_in(scratch));
  Database(path_in(scratch)).execute("PRAGMA user_version = 999");
  CHECK(code_of([&] { Catalog::open(path_in(scratch)); }) == ErrorCode::unsupported);
}

TEST_CASE("a file that is no database is refused") {
  base::ScratchDirectory scratch = make_scratch();
  std::string junk(8192, 'x');
  base::write_file_durably(base::real_file_system(), path_in(scratch), base::as_bytes(junk));
  CHECK(code_of([&] { Catalog::open(path_in(scratch)); }) == ErrorCode::corrupt);
}

TEST_CASE("an enrolment token is good once and until it expires") {
  base::ScratchDirectory scratch = make_scratch();
  auto catalog = Catalog::open(path_in(scratch));
  base::Sha256 hash = base::sha256(base::as_bytes("secret"));
  Token token{TokenId::random(), TokenKind::enrolment, TenantName(kDefaultTenant), "", 1, 1000, {}};
  catalog->add_token(token, hash);
  CHECK(catalog->find_valid_token(TokenKind::enrolment, hash, 999));
  CHECK_FALSE(catalog->find_valid_token(TokenKind::enrolment, hash, 1000));
  CHECK_FALSE(catalog->find_valid_token(TokenKind::operator_, hash, 10));

  CHECK(code_of([&] { catalog->enroll_host(hash, make_host("late"), 1000); }) ==
        ErrorCode::unauthorized);
  catalog->enroll_host(hash, make_host("alpha"), 10);
  CHECK(code_of([&] { catalog->enroll_host(hash, make_host("beta"), 10); }) ==
        ErrorCode::unauthorized);
  CHECK(catalog->hosts(TenantScope::all()).size() == 1);
}

TEST_CASE("a failed enrolment leaves the token unused") {
  base::ScratchDirectory scratch = make_scratch();
  auto catalog = Catalog::open(path_in(scratch));
  Host first = enrolled(*catalog, "alpha");
  base::Sha256 hash = base::sha256(base::as_bytes("second"));
  catalog->add_token(
      {TokenId::random(), TokenKind::enrolment, TenantName(kDefaultTenant), "", 1, {}, {}}, hash);
  CHECK(code_of([&] { catalog->enroll_host(hash, make_host("alpha"), 10); }) ==
        ErrorCode::already_exists);
  CHECK(catalog->find_valid_token(TokenKind::enrolment, hash, 10));

  catalog->revoke_host(first.id);
  catalog->enroll_host(hash, make_host("alpha"), 10);
  CHECK(catalog->hosts(TenantScope::all()).size() == 2);
  CHECK_FALSE(catalog->host("alpha", TenantScope::all()).revoked);
}

TEST_CASE("a machine belongs to the host that first wrote it") {
  base::ScratchDirectory scratch = make_scratch();
  auto catalog = Catalog::open(path_in(scratch));
  Host alpha = enrolled(*catalog, "alpha"), beta = enrolled(*catalog, "beta");
  images::PointSummary point = make_point("web", 100);
  catalog->claim_machine(kDefaultTenant, point.machine, "web", alpha.id);
  catalog->claim_machine(kDefaultTenant, point.machine, "web", alpha.id);
  auto claim_by_beta = [&] {
    catalog->claim_machine(kDefaultTenant, point.machine, "web", beta.id);
  };
  CHECK(code_of(claim_by_beta) == ErrorCode::unauthorized);
  catalog->assign_machine(kDefaultTenant, "web", beta.id);
  claim_by_beta();
  CHECK(catalog->machine(kDefaultTenant, "web").host == beta.id);
}

TEST_CASE("points that nobody's host wrote are not for the first agent that comes along") {
  base::ScratchDirectory scratch = make_scratch();
  auto catalog = Catalog::open(path_in(scratch));
  Host alpha = enrolled(*catalog, "alpha");
  images::PointSummary point = make_point("imported", 100);
  catalog->set_points(kDefaultTenant, {point});
  auto claim = [&] { catalog->claim_machine(kDefaultTenant, point.machine, "imported", alpha.id); };
  CHECK(code_of(claim) == ErrorCode::unauthorized);
  catalog->assign_machine(kDefaultTenant, "imported", alpha.id);
  claim();
}

TEST_CASE("the catalog's points become exactly those of the store") {
  base::ScratchDirectory scratch = make_scratch();
  auto catalog = Catalog::open(path_in(scratch));
  images::PointSummary a = make_point("a", 100), b = make_point("b", 50),
                       late = make_point("a", 200);
  catalog->set_points(kDefaultTenant, {late, b, a});
  auto rows = catalog->points(kDefaultTenant, "");
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].summary.id == a.id);
  CHECK(rows[1].summary.id == late.id);
  CHECK(rows[2].summary.id == b.id);
  CHECK(catalog->machine(kDefaultTenant, "a").latest_point == late.id);

  catalog->set_points(kDefaultTenant, {b});
  CHECK(catalog->points(kDefaultTenant, "a").empty());
  CHECK(catalog->machine(kDefaultTenant, "a").point_count == 0);
  catalog->remove_point(kDefaultTenant, b.id);
  CHECK(catalog->points(kDefaultTenant, "").empty());
}

TEST_CASE("the latest point is the last of its timeline, whatever its times say") {
  base::ScratchDirectory scratch = make_scratch();
  auto catalog = Catalog::open(path_in(scratch));
  images::PointSummary first = make_point("web", 5000), second = make_point("web", 3000);
  first.dates = {9000, 10, false, true};
  second.dates = {2900, 11, false, false};
  catalog->set_points(kDefaultTenant, {second, first});
  Machine machine = catalog->machine(kDefaultTenant, "web");
  CHECK(machine.latest_point == second.id);
  CHECK(machine.latest_ms == 3000);
  CHECK(machine.latest_dates == second.dates);
  auto rows = catalog->points(kDefaultTenant, "web");
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].summary.id == first.id);
  CHECK(rows[0].summary.dates == first.dates);
  // An old one that its host alone has dated, and into the future, gives way to any other.
  images::PointSummary ahead = make_point("web", images::kLatestTime_ms);
  ahead.dates.dated_by_host = true;
  catalog->add_point(kDefaultTenant, ahead);
  CHECK(catalog->machine(kDefaultTenant, "web").latest_point == second.id);
  catalog->set_points(kDefaultTenant, {ahead});
  CHECK(catalog->machine(kDefaultTenant, "web").latest_point == ahead.id);
}

TEST_CASE("a clock that is set back makes no gap between points, and forgets none") {
  base::ScratchDirectory scratch = make_scratch();
  auto catalog = Catalog::open(path_in(scratch));
  constexpr uint64_t kHour = 3'600'000, kYear = 365 * 24 * kHour;
  uint64_t order = 0;
  auto add = [&](uint64_t time_ms) {
    images::PointSummary point = make_point("web", time_ms);
    point.dates.order = ++order;
    catalog->add_point(kDefaultTenant, point);
  };
  auto worst = [&] { return catalog->worst_gap(kDefaultTenant, "web", 0, 10 * kYear); };
  add(2 * kYear);
  add(2 * kYear + 3 * kHour);
  CHECK(worst() == 3 * kHour);
  add(kYear);
  add(kYear + kHour);
  CHECK(worst() == 3 * kHour);
  catalog->forget_gaps(2 * kYear);
  CHECK(worst() == 3 * kHour);
  catalog->forget_gaps(2 * kYear + 4 * kHour);
  CHECK(worst() == 0);
}

TEST_CASE("of two tested points the verdict of the later one counts, whatever their times say") {
  base::ScratchDirectory scratch = make_scratch();
  auto catalog = Catalog::open(path_in(scratch));
  auto add = [&](const char* verdict, uint64_t point_time_ms, uint64_t point_order) {
    Verification seen;
    seen.tenant = std::string(kDefaultTenant);
    seen.machine_name = "web";
    seen.point = images::PointId::random();
    seen.verdict = verdict;
    seen.reasons = seen.checks = seen.evidence = "[]";
    seen.point_time_ms = point_time_ms;
    seen.point_order = point_order;
    catalog->add_verification(seen, {});
  };
  add("fail", 1000, 12);
  add("pass", 9000, 11);
  CHECK(catalog->newest_verdict(kDefaultTenant, "web")->verdict == "fail");
}

TEST_CASE("a job's log has a limit") {
  base::ScratchDirectory scratch = make_scratch();
  auto catalog = Catalog::open(path_in(scratch));
  Job job;
  job.kind = "check";
  job.tenant = TenantName(kDefaultTenant);
  JobId id = catalog->add_job(job);
  for (int i = 0; i < 20; ++i) catalog->log_job(id, "line " + std::to_string(i), 1);
  auto lines = catalog->job_log(id, 15, 3);
  REQUIRE(lines.size() == 3);
  CHECK(lines.front().text == "line 15");
  CHECK(lines.front().sequence == 16);
}

TEST_CASE("old test boots of a machine grow thin, and end; those of others stay") {
  base::ScratchDirectory scratch = make_scratch();
  auto catalog = Catalog::open(path_in(scratch));
  constexpr uint64_t kDay = 24 * 3600 * 1000ull;
  auto add = [&](const std::string& machine, uint64_t time_ms) {
    Verification seen;
    seen.tenant = std::string(kDefaultTenant);
    seen.machine_name = machine;
    seen.point = images::PointId::random();
    seen.verdict = "pass";
    seen.reasons = seen.checks = "[]";
    seen.evidence = R"(["seen"])";
    seen.serial = "login:";
    seen.started_ms = time_ms;
    return catalog->add_verification(seen, {{5, "login:", {1, 2, 3}}});
  };
  int64_t other = add("other", kDay);
  int64_t first = add("web", kDay), second = add("web", 300 * kDay);
  for (int64_t i = 0; i + 1 < Catalog::kWholeTestBoots; ++i) add("web", 400 * kDay);
  CHECK(catalog->verification_pictures(first).empty());
  CHECK(catalog->verification(TenantName(kDefaultTenant), first).evidence == "[]");
  CHECK(catalog->verification(TenantName(kDefaultTenant), first).serial.empty());
  CHECK(catalog->verification_pictures(second).size() == 1);
  int64_t last = add("web", 402 * kDay);
  // No clock decides by itself: the caller says from when on they may go.
  CHECK(catalog->verification(TenantName(kDefaultTenant), first).number == first);
  catalog->forget_test_boots(2 * kDay);
  CHECK(code_of([&] { catalog->verification(TenantName(kDefaultTenant), first); }) ==
        ErrorCode::not_found);
  CHECK(catalog->verification(TenantName(kDefaultTenant), second).serial.empty());
  CHECK(catalog->verification(TenantName(kDefaultTenant), last).picture_count == 1);
  CHECK(catalog->verification(TenantName(kDefaultTenant), other).picture_count == 1);

  // A guest that shows noise fills no disk: the pictures of older test boots go.
  Verification noise = catalog->verification(TenantName(kDefaultTenant), last);
  base::Bytes large(static_cast<size_t>(Catalog::kPicturesSize / 4), 7);
  std::vector<int64_t> numbers;
  for (int i = 0; i < 6; ++i) numbers.push_back(catalog->add_verification(noise, {{5, "", large}}));
  CHECK(catalog->verification_pictures(numbers[5]).size() == 1);
  CHECK(catalog->verification_pictures(numbers[2]).size() == 1);
  CHECK(catalog->verification_pictures(numbers[1]).empty());
  CHECK(catalog->verification_pictures(last).empty());
  CHECK(catalog->verification(TenantName(kDefaultTenant), other).picture_count == 1);
}

TEST_CASE("a catalog knows which store is whose, also one of an older version") {
  base::ScratchDirectory scratch = make_scratch();
  {
    Database database(path_in(scratch));
    migrate(database, 6);  // before stores had an identity
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
  CHECK(catalog->tenants_with_store(id) == std::vector<std::string>{"new"});
  CHECK_FALSE(catalog->find_fact("authority"));
  catalog->save_fact("authority", "abc");
  CHECK(catalog->find_fact("authority") == "abc");
}

TEST_CASE("jobs of a catalog of an older version are anybody's, and fail with the first node") {
  base::ScratchDirectory scratch = make_scratch();
  {
    Database database(path_in(scratch));
    migrate(database, 11);  // before jobs named a node
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
  CHECK(code_of([&] { catalog->acknowledge_alert(1, theirs, 5); }) == ErrorCode::not_found);
  CHECK(code_of([&] { catalog->verification(theirs, 1); }) == ErrorCode::not_found);
  CHECK(catalog->acknowledge_alert(1, ours, 5).acknowledged_ms == 5u);
  CHECK(catalog->acknowledge_alert(1, ours, 6).acknowledged_ms == 5u);
}

TEST_CASE("a forgotten machine leaves nothing; those of others and other subjects stay") {
  base::ScratchDirectory scratch = make_scratch();
  auto catalog = Catalog::open(path_in(scratch));
  const TenantName tenant(kDefaultTenant);
  Host alpha = enrolled(*catalog, "alpha");
  images::PointSummary first = make_point("web", 1000), second = make_point("web", 2000);
  for (const images::PointSummary& point : {first, second, make_point("db", 3000)}) {
    catalog->add_point(tenant, point);
    catalog->assign_machine(tenant, point.machine_name, alpha.id);
    Verification seen;
    seen.tenant = tenant;
    seen.machine_name = point.machine_name;
    seen.point = point.id;
    seen.verdict = "pass";
    catalog->add_verification(seen, {{1, "text", {0x89}}});
    Protection protection;
    protection.tenant = tenant;
    protection.machine = point.machine_name;
    catalog->save_protection(protection);
    catalog->save_retention_mark(tenant, point.machine_name, {"all", "", 0});
  }
  for (const char* kind : {"machine-overdue", "host-silent"}) {
    Alert alert;
    alert.tenant = tenant;
    alert.kind = kind;
    alert.subject = "web";
    catalog->open_alert(alert);
  }
  MachineTraces traces = catalog->machine_traces(tenant, "web");
  CHECK(traces.is_known);
  CHECK(traces.is_protected);
  CHECK(traces.point_count == 2);
  CHECK(traces.test_boot_count == 2);
  CHECK(traces.alert_count == 1);
  CHECK(code_of([&] { catalog->forget_machine(tenant, "web", 5000); }) == ErrorCode::busy);
  CHECK(catalog->machine_traces(tenant, "web").test_boot_count == 2);
  catalog->remove_point(tenant, first.id);
  catalog->remove_point(tenant, second.id);
  catalog->forget_machine(tenant, "web", 5000);
  traces = catalog->machine_traces(tenant, "web");
  CHECK_FALSE(traces.is_known);
  CHECK_FALSE(traces.is_protected);
  CHECK(traces.test_boot_count == 0);
  CHECK(catalog->retention_mark(tenant, "web").applied.empty());
  CHECK(catalog->worst_gap(tenant, "web", 0, 1u << 30) == 0);
  auto open = catalog->alerts(tenant, false, 10);
  REQUIRE(open.size() == 1);
  CHECK(open[0].kind == "host-silent");
  CHECK(catalog->machine_traces(tenant, "db").test_boot_count == 1);
  CHECK(catalog->machine(tenant, "db").host == alpha.id);

  CHECK(code_of([&] { catalog->forget_host(alpha.id); }) == ErrorCode::busy);
  catalog->revoke_host(alpha.id);
  catalog->save_report({alpha.id, 1, "{}"});
  catalog->forget_host(alpha.id);
  CHECK_FALSE(catalog->find_host(alpha.id));
  CHECK_FALSE(catalog->machine(tenant, "db").host);
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
