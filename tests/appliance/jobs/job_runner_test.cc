#include "appliance/jobs/job_runner.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>

#include "appliance/catalog/catalog.h"
#include "base/error.h"
#include "base/scratch_directory.h"

namespace appliance::jobs {
namespace {

using catalog::JobState;
using namespace std::chrono_literals;

struct Fixture {
  base::ScratchDirectory scratch{std::filesystem::temp_directory_path().string(), "muletto-jobs"};
  std::unique_ptr<catalog::Catalog> catalog =
      catalog::Catalog::open(scratch.path() + "/catalog.sqlite");
  JobSpec spec{"test", TenantName("default"), "web", Requester("token 17")};
};

void wait_for_stop(JobContext& context) {
  while (true) {
    context.throw_if_stopped();
    std::this_thread::sleep_for(1ms);
  }
}

}  // namespace

TEST_CASE("a job's progress, figures, log and outcome are kept") {
  Fixture fixture;
  JobRunner runner(*fixture.catalog, {});
  JobId id = runner.submit(fixture.spec, [](JobContext& context) {
    context.set_progress({5, 10, "half"});
    context.set_figures("{\"n\":1}");
    context.log("a line");
  });
  Job job = runner.wait(id, 10s);
  CHECK(job.state == JobState::succeeded);
  CHECK(job.progress.done == 5);
  job = *fixture.catalog->find_job(id);
  CHECK(job.state == JobState::succeeded);
  CHECK(job.figures == "{\"n\":1}");
  CHECK(job.requested_by == "token 17");
  CHECK(job.ended_ms >= job.started_ms);
  CHECK(fixture.catalog->job_log(id, 0, 10).size() == 1);
}

TEST_CASE("what a job throws is its outcome") {
  Fixture fixture;
  JobRunner runner(*fixture.catalog, {});
  JobId failed = runner.submit(fixture.spec, [](JobContext&) {
    throw base::Error(base::ErrorCode::no_space, "the disk is full");
  });
  JobId broken = runner.submit(fixture.spec, [](JobContext&) { throw std::runtime_error("oops"); });
  Job job = runner.wait(failed, 10s);
  CHECK(job.state == JobState::failed);
  CHECK(job.error_code == base::ErrorCode::no_space);
  CHECK(job.error_message == "the disk is full");
  CHECK(runner.wait(broken, 10s).state == JobState::failed);
}

TEST_CASE("running and waiting jobs can be cancelled, ended ones cannot") {
  Fixture fixture;
  JobLimits limits;
  limits.thread_count = 1;
  JobRunner runner(*fixture.catalog, limits);
  JobId running = runner.submit(fixture.spec, wait_for_stop);
  std::atomic<bool> ran{false};
  JobId queued = runner.submit(fixture.spec, [&](JobContext&) { ran = true; });
  runner.cancel(queued);
  CHECK(runner.job(queued).state == JobState::cancelled);
  runner.cancel(running);
  CHECK(runner.wait(running, 10s).state == JobState::cancelled);
  CHECK_FALSE(ran);
  CHECK_THROWS_AS(runner.cancel(running), base::Error);
  CHECK_THROWS_AS(runner.cancel(JobId{999}), base::Error);
}

TEST_CASE("the queue has an end") {
  Fixture fixture;
  JobLimits limits;
  limits.thread_count = 1;
  limits.queue_size = 2;
  JobRunner runner(*fixture.catalog, limits);
  size_t taken = 0;
  try {
    for (; taken < 10; ++taken) runner.submit(fixture.spec, wait_for_stop);
  } catch (const base::Error& error) {
    CHECK(error.code() == base::ErrorCode::busy);
  }
  CHECK(taken >= 2);
  CHECK(taken <= 3);
}

TEST_CASE("stopping ends running jobs and drops waiting ones") {
  Fixture fixture;
  JobLimits limits;
  limits.thread_count = 1;
  JobRunner runner(*fixture.catalog, limits);
  JobId first = runner.submit(fixture.spec, wait_for_stop);
  JobId second = runner.submit(fixture.spec, wait_for_stop);
  runner.stop();
  CHECK(fixture.catalog->find_job(first)->state == JobState::cancelled);
  CHECK(fixture.catalog->find_job(second)->state == JobState::cancelled);
  CHECK_THROWS_AS(runner.submit(fixture.spec, wait_for_stop), base::Error);
}

TEST_CASE("jobs that a dead daemon of this node left have failed, another node's continue") {
  Fixture fixture;
  catalog::NodeId here = catalog::NodeId::random(), elsewhere = catalog::NodeId::random();
  Job job;
  job.kind = "sync";
  job.tenant = TenantName("default");
  job.node = here;
  JobId ours = fixture.catalog->add_job(job);
  job.node = elsewhere;
  JobId theirs = fixture.catalog->add_job(job);
  for (JobId id : {ours, theirs}) fixture.catalog->start_job(id, 5);
  JobRunner runner(*fixture.catalog, {.node = here});
  Job after = runner.job(ours);
  CHECK(after.state == JobState::failed);
  CHECK(after.error_message == "interrupted by a restart of the daemon");
  CHECK(runner.job(theirs).state == JobState::running);
  CHECK(runner.job(theirs).node == elsewhere);
  CHECK(runner.job(runner.attach(fixture.spec)->id()).node == here);
}

TEST_CASE("an attached job that is dropped has failed") {
  Fixture fixture;
  JobRunner runner(*fixture.catalog, {});
  JobId dropped, good;
  {
    auto job = runner.attach(fixture.spec);
    dropped = job->id();
    CHECK(runner.job(dropped).state == JobState::running);
    auto other = runner.attach(fixture.spec);
    good = other->id();
    other->succeed();
  }
  CHECK(runner.job(dropped).state == JobState::failed);
  CHECK(runner.job(good).state == JobState::succeeded);
}

}  // namespace appliance::jobs
