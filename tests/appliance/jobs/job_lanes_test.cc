// Which jobs wait for which, and that those that mostly wait hold no thread.
#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <thread>

#include "appliance/catalog/catalog.h"
#include "appliance/jobs/job_runner.h"
#include "base/error.h"
#include "base/internal_errors.h"
#include "base/scratch_directory.h"

namespace appliance::jobs {
namespace {

using catalog::JobState;
using namespace std::chrono_literals;

struct Lanes {
  base::ScratchDirectory scratch{std::filesystem::temp_directory_path().string(), "muletto-lanes"};
  std::unique_ptr<catalog::Catalog> catalog =
      catalog::Catalog::open(scratch.path() + "/catalog.sqlite");

  JobSpec spec(const std::string& kind, const std::string& unit = "") const {
    return {kind, TenantName("default"), "web", Requester("root"), unit};
  }
};

void wait_for_stop(JobContext& context) {
  while (true) {
    context.throw_if_stopped();
    std::this_thread::sleep_for(1ms);
  }
}

std::optional<std::chrono::milliseconds> step_until_stop(JobContext& context) {
  context.throw_if_stopped();
  return 20ms;
}

}  // namespace

TEST_CASE("boot, stop and delete begin at once beside hours of waits, pulls and checks", "[jobs]") {
  Lanes lanes;
  JobRunner runner(*lanes.catalog, {});
  for (int i = 0; i < 100; ++i) {
    runner.submit_steps(lanes.spec("wait"), step_until_stop);
    runner.submit_steps(lanes.spec("pull"), step_until_stop);
    runner.submit(lanes.spec("check"), wait_for_stop);
    runner.submit(lanes.spec("retention"), wait_for_stop);
    runner.submit(lanes.spec("report"), wait_for_stop);
  }
  auto begin = std::chrono::steady_clock::now();
  for (const char* kind : {"boot", "stop", "delete"}) {
    JobId id = runner.submit(lanes.spec(kind), [](JobContext&) {});
    CHECK(runner.wait(id, 10s).state == JobState::succeeded);
  }
  CHECK(std::chrono::steady_clock::now() - begin < 3s);
}

TEST_CASE("as many boots run at once as the lane has threads, and no tenant waits for another's",
          "[jobs]") {
  Lanes lanes;
  lanes.catalog->add_tenant("other", 1);
  JobRunner runner(*lanes.catalog, {.thread_count = 2});
  std::atomic<int> running = 0;
  std::vector<JobId> own;
  for (int i = 0; i < 20; ++i) {
    own.push_back(runner.submit(lanes.spec("boot"), [&](JobContext& context) {
      ++running;
      wait_for_stop(context);
    }));
  }
  while (running < 2) std::this_thread::sleep_for(1ms);
  JobId theirs = runner.submit({"boot", catalog::TenantName("other"), "mail", Requester("root")},
                               [](JobContext&) {});
  std::this_thread::sleep_for(50ms);
  CHECK(running == 2);
  CHECK(runner.job(theirs).state == JobState::queued);
  // The next place is the other tenant's, though 18 came before.
  runner.cancel(own.front());
  CHECK(runner.wait(theirs, 10s).state == JobState::succeeded);
}

TEST_CASE("a full lane says what waits in it, and leaves room for the other tenants", "[jobs]") {
  Lanes lanes;
  lanes.catalog->add_tenant("other", 1);
  JobRunner runner(*lanes.catalog, {.thread_count = 1, .queue_size = 30, .tenant_queue_size = 20});
  std::string refusal;
  try {
    for (int i = 0; i < 40; ++i) runner.submit(lanes.spec("delete"), wait_for_stop);
  } catch (const base::Error& error) {
    CHECK(error.code() == base::ErrorCode::busy);
    refusal = error.message();
  }
  CHECK_THAT(refusal,
             Catch::Contains("20 jobs of the tenant 'default' are already waiting for the lane of "
                             "deletions (20 delete)"));
  runner.submit({"delete", catalog::TenantName("other"), "mail", Requester("root")}, wait_for_stop);
  runner.submit(lanes.spec("boot"), wait_for_stop);
}

TEST_CASE("a second job of one unit is the first", "[jobs]") {
  Lanes lanes;
  JobRunner runner(*lanes.catalog, {});
  JobId first = runner.submit(lanes.spec("compact", "compact default"), wait_for_stop);
  CHECK(runner.submit(lanes.spec("compact", "compact default"), wait_for_stop) == first);
  CHECK(runner.submit(lanes.spec("compact", "compact other"), wait_for_stop) != first);
  JobId pull = runner.submit_steps(lanes.spec("pull", "pull 1"), step_until_stop);
  CHECK(runner.submit_steps(lanes.spec("pull", "pull 1"), step_until_stop) == pull);
  runner.cancel(first);
  runner.wait(first, 10s);
  CHECK(runner.submit(lanes.spec("compact", "compact default"), wait_for_stop) != first);
}

TEST_CASE("a job in steps is stepped until it is done, fails or is cancelled", "[jobs]") {
  Lanes lanes;
  JobRunner runner(*lanes.catalog, {});
  int steps = 0;
  JobId done = runner.submit_steps(
      lanes.spec("wait"), [&](JobContext& context) -> std::optional<std::chrono::milliseconds> {
        context.set_progress({static_cast<uint64_t>(++steps), 3, "stepping"});
        return steps == 3 ? std::nullopt : std::optional(5ms);
      });
  Job job = runner.wait(done, 10s);
  CHECK(job.state == JobState::succeeded);
  CHECK(job.progress.done == 3);
  CHECK(job.started_ms.has_value());

  JobId failed = runner.submit_steps(
      lanes.spec("wait"), [](JobContext&) -> std::optional<std::chrono::milliseconds> {
        throw base::Error(base::ErrorCode::unavailable, "nobody answers");
      });
  CHECK(runner.wait(failed, 10s).error_message == "nobody answers");

  JobId broken = runner.submit_steps(
      lanes.spec("wait"), [](JobContext&) -> std::optional<std::chrono::milliseconds> { throw 5; });
  CHECK(runner.wait(broken, 10s).state == JobState::failed);

  // It would be looked at again in an hour; being cancelled, it is at once.
  std::atomic<bool> cleaned = false;
  JobId cancelled = runner.submit_steps(
      lanes.spec("pull"), [&](JobContext& context) -> std::optional<std::chrono::milliseconds> {
        if (context.stop().stop_requested()) cleaned = !context.daemon_ends();
        context.throw_if_stopped();
        return 1h;
      });
  while (runner.job(cancelled).state != JobState::running) std::this_thread::sleep_for(1ms);
  runner.cancel(cancelled);
  CHECK(runner.wait(cancelled, 10s).state == JobState::cancelled);
  CHECK(cleaned);
}

TEST_CASE("what is no exception fails a job, is reported, and costs no thread", "[jobs]") {
  Lanes lanes;
  JobRunner runner(*lanes.catalog, {.thread_count = 1});
  for (int i = 0; i < 3; ++i) {
    JobId id = runner.submit(lanes.spec("delete"), [](JobContext&) { throw "no exception"; });
    CHECK(runner.wait(id, 10s).state == JobState::failed);
  }
  uint64_t count = 0;
  for (const base::InternalError& each : base::internal_errors())
    count += each.place == "a job of the kind delete" ? each.count : 0;
  CHECK(count >= 3);
}

TEST_CASE("parts of a job run beside it, and a stopping daemon drops those that wait", "[jobs]") {
  Lanes lanes;
  JobRunner runner(*lanes.catalog, {.thread_count = 1});
  CHECK_NOTHROW(runner.run_part(Lane::groups, TenantName("default"), [] {}).get());
  auto failing = runner.run_part(Lane::groups, TenantName("default"), [] {
    throw base::Error(base::ErrorCode::busy, "no memory for it");
  });
  CHECK_THROWS_AS(failing.get(), base::Error);
  std::atomic<bool> go_on = false, begun = false;
  auto slow = runner.run_part(Lane::groups, TenantName("default"), [&] {
    begun = true;
    while (!go_on) std::this_thread::sleep_for(1ms);
  });
  auto never = runner.run_part(Lane::groups, TenantName("default"), [] {});
  while (!begun) std::this_thread::sleep_for(1ms);
  std::thread stopping([&] { runner.stop(); });
  CHECK_THROWS_AS(never.get(), std::future_error);
  go_on = true;
  CHECK_NOTHROW(slow.get());
  stopping.join();
}

}  // namespace appliance::jobs
