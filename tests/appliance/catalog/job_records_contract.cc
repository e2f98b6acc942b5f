// What every JobRecords promises.
#include <catch2/catch.hpp>

#include "tests/appliance/catalog/catalogs.h"

namespace appliance::catalog {
namespace {

const TenantScope kAll = TenantScope::all();

Job make_job(const std::string& kind, const std::string& subject) {
  Job job;
  job.kind = kind;
  job.tenant = TenantName(kDefaultTenant);
  job.subject = subject;
  job.created_ms = 5;
  return job;
}

}  // namespace

TEST_CASE("records of jobs keep the contract", "[catalog]") {
  auto fresh = make_catalog(GENERATE(from_range(catalog_kinds())));
  JobRecords* records = &fresh->get();

  SECTION("a job is queued, runs and ends") {
    JobId id = records->add_job(make_job("check", "acme"));
    CHECK(records->find_job(id)->state == JobState::queued);
    records->start_job(id, 6);
    records->save_progress(id, {1, 2, "reading"}, R"({"bytes": 1})");
    Job job = *records->find_job(id);
    CHECK(job.state == JobState::running);
    CHECK(job.kind == "check");
    CHECK(job.subject == "acme");
    CHECK(job.created_ms == 5);
    CHECK(job.started_ms == 6);
    CHECK(job.progress.phase == "reading");
    CHECK(job.figures == R"({"bytes": 1})");
    job.state = JobState::failed;
    job.progress = {2, 2, "done"};
    job.error_code = base::ErrorCode::corrupt;
    job.error_message = "a pack cannot be read";
    job.ended_ms = 9;
    records->end_job(job);
    fresh->reopen();
    records = &fresh->get();
    Job ended = *records->find_job(id);
    CHECK(ended.state == JobState::failed);
    CHECK(ended.progress.done == 2);
    CHECK(ended.error_code == base::ErrorCode::corrupt);
    CHECK(ended.error_message == "a pack cannot be read");
    CHECK(ended.ended_ms == 9);
    CHECK_FALSE(records->find_job(JobId{id.number + 1}));
    Job stray = make_job("check", "");
    stray.tenant = TenantName("gone");
    CHECK(code_of([&] { records->add_job(stray); }) == base::ErrorCode::not_found);
  }
  SECTION("lists are filtered and bounded, newest first, and numbers do not come back") {
    JobId sync = records->add_job(make_job("sync", "web"));
    JobId check = records->add_job(make_job("check", "acme"));
    JobId again = records->add_job(make_job("sync", "web"));
    CHECK(sync.number < check.number);
    CHECK(check.number < again.number);
    auto all = records->jobs({.scope = kAll});
    REQUIRE(all.size() == 3);
    CHECK(all.front().id == again);
    CHECK(records->jobs({.scope = kAll, .kind = "sync"}).size() == 2);
    CHECK(records->jobs({.scope = kAll, .kind = "sync", .limit = 1}).front().id == again);
    CHECK(records->jobs({.scope = kAll, .subject = "acme"}).front().id == check);
    CHECK(records->jobs({}).empty());
    records->start_job(check, 6);
    CHECK(records->jobs({.scope = kAll, .state = JobState::running}).size() == 1);
    Job last = *records->find_job(again);
    last.state = JobState::succeeded;
    last.ended_ms = 7;
    records->end_job(last);
    records->prune_jobs(0);
    CHECK_FALSE(records->find_job(again));
    CHECK(records->jobs({.scope = kAll}).size() == 2);
    CHECK(records->add_job(make_job("sync", "web")).number > again.number);
  }
  SECTION("what a dead daemon of a node left unfinished has failed") {
    const NodeId node = NodeId::random();
    auto add = [&](const std::string& subject, const NodeId& of) {
      Job job = make_job("sync", subject);
      job.node = of;
      job.requested_by = "root";
      return records->add_job(job);
    };
    JobId queued = add("web", node), running = add("db", node), over = add("mail", node);
    JobId other = add("files", NodeId::random());
    CHECK(records->find_job(queued)->node == node);
    CHECK(records->find_job(queued)->requested_by == "root");
    records->start_job(running, 6);
    Job done = *records->find_job(over);
    done.state = JobState::succeeded;
    done.ended_ms = 7;
    records->end_job(done);
    CHECK(records->fail_unfinished_jobs(node, "the daemon ended", 8) == 2);
    CHECK(records->fail_unfinished_jobs(node, "the daemon ended", 9) == 0);
    for (JobId id : {queued, running}) {
      Job job = *records->find_job(id);
      CHECK(job.state == JobState::failed);
      CHECK(job.error_code == base::ErrorCode::unavailable);
      CHECK(job.error_message == "the daemon ended");
      CHECK(job.ended_ms == 8);
    }
    CHECK(records->find_job(over)->state == JobState::succeeded);
    CHECK(records->find_job(other)->state == JobState::queued);
  }
  SECTION("a log is read on from any line, and has a limit") {
    JobId id = records->add_job(make_job("check", ""));
    for (int i = 0; i < 20; ++i) records->log_job(id, "line " + std::to_string(i), 1);
    auto lines = records->job_log(id, 15, 3);
    REQUIRE(lines.size() == 3);
    CHECK(lines.front().text == "line 15");
    CHECK(lines.front().sequence == 16);
    CHECK(records->job_log(id, 20, 3).empty());
  }
}

}  // namespace appliance::catalog
