#include "appliance/jobs/job_runner.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/text.h"

namespace appliance::jobs {

using base::Error;
using base::ErrorCode;
using catalog::JobState;

JobRunner::JobRunner(catalog::Catalog& catalog, const JobLimits& limits)
    : catalog_(catalog), limits_(limits) {
  uint64_t count =
      catalog_.fail_unfinished_jobs("interrupted by a restart of the daemon", base::now_ms());
  if (count > 0) base::log().warn("{} jobs were interrupted by the last end of the daemon", count);
  catalog_.prune_jobs(limits_.keep_finished);
  for (uint32_t i = 0; i < limits_.thread_count; ++i)
    threads_.emplace_back([this] { run_tasks(); });
}

JobRunner::~JobRunner() { stop(); }

std::shared_ptr<JobContext> JobRunner::make_context(const JobSpec& spec) {
  Job job;
  job.kind = spec.kind;
  job.tenant = spec.tenant;
  job.subject = spec.subject;
  job.created_ms = base::now_ms();
  job.id = catalog_.add_job(job);
  return std::make_shared<JobContext>(catalog_, std::move(job));
}

JobId JobRunner::submit(const JobSpec& spec, Work work) {
  {
    auto state = state_.lock();
    if (state->stopping)
      throw Error(ErrorCode::busy, "the daemon is about to end and takes no more jobs");
    if (state->queue.size() >= limits_.queue_size) {
      throw Error(ErrorCode::busy,
                  fmt::format("{} jobs are waiting already; try again later", limits_.queue_size));
    }
  }
  auto context = make_context(spec);
  auto state = state_.lock();
  state->live.emplace(context->id_, context);
  state->queue.push_back({context, std::move(work)});
  changed_.notify_all();
  return context->id_;
}

std::unique_ptr<AttachedJob> JobRunner::attach(const JobSpec& spec) {
  auto context = make_context(spec);
  state_.lock()->live.emplace(context->id_, context);
  context->start();
  return std::make_unique<AttachedJob>(*this, context);
}

void JobRunner::run_tasks() {
  while (true) {
    Task task;
    {
      auto state = state_.lock();
      state.wait(changed_, [&] { return state->stopping || !state->queue.empty(); });
      if (state->queue.empty()) return;
      task = std::move(state->queue.front());
      state->queue.pop_front();
    }
    run(task);
  }
}

// The edge of one job: the only place that catches what its work throws.
void JobRunner::run(Task& task) {
  JobContext& context = *task.context;
  if (context.stop().stop_requested()) {
    end(context, JobState::cancelled, Error(ErrorCode::cancelled, "cancelled before it began"));
    return;
  }
  try {
    context.start();
    task.work(context);
    end(context, JobState::succeeded, std::nullopt);
  } catch (const Error& error) {
    end(context, error.code() == ErrorCode::cancelled ? JobState::cancelled : JobState::failed,
        error);
  } catch (const std::exception& error) {
    end(context, JobState::failed,
        Error(ErrorCode::io, fmt::format("unexpected failure: {}", error.what())));
  }
}

void JobRunner::end(JobContext& context, JobState outcome, std::optional<Error> error) {
  Job job = context.snapshot();
  if (error) {
    base::log().warn("job {} ({} {}) {}: {}", job.id.number, job.kind, job.subject,
                     catalog::job_state_name(outcome), error->message());
  } else {
    base::log().info("job {} ({} {}) {}", job.id.number, job.kind, job.subject,
                     catalog::job_state_name(outcome));
  }
  bool saved = true;
  try {
    context.end(outcome, std::move(error));
  } catch (const Error& failure) {
    // The outcome stays in memory, so that it can be asked for until the daemon ends.
    base::log().error("cannot save the outcome of job {}: {}", job.id.number, failure.message());
    saved = false;
  }
  auto state = state_.lock();
  if (saved) state->live.erase(job.id);
  ++state->ended_count;
  changed_.notify_all();
}

void JobRunner::cancel(JobId id) {
  std::shared_ptr<JobContext> context;
  bool queued = false;
  {
    auto state = state_.lock();
    auto found = state->live.find(id);
    if (found != state->live.end()) {
      context = found->second;
      auto waiting = std::find_if(state->queue.begin(), state->queue.end(),
                                  [&](const Task& task) { return task.context == context; });
      queued = waiting != state->queue.end();
      if (queued) state->queue.erase(waiting);
    }
  }
  if (!context || catalog::is_over(context->snapshot().state)) {
    Job over = job(id);
    throw Error(ErrorCode::invalid_argument, fmt::format("job {} is over: it {}", id.number,
                                                         catalog::job_state_name(over.state)));
  }
  context->stop_.request_stop();
  if (queued)
    end(*context, JobState::cancelled, Error(ErrorCode::cancelled, "cancelled before it began"));
}

void JobRunner::set_progress(JobId id, const JobProgress& progress) {
  std::shared_ptr<JobContext> context;
  {
    auto state = state_.lock();
    auto found = state->live.find(id);
    if (found == state->live.end()) return;
    context = found->second;
  }
  if (!catalog::is_over(context->snapshot().state)) context->set_progress(progress);
}

Job JobRunner::job(JobId id) {
  std::shared_ptr<JobContext> context;
  {
    auto state = state_.lock();
    auto found = state->live.find(id);
    if (found != state->live.end()) context = found->second;
  }
  if (context) return context->snapshot();
  if (auto job = catalog_.find_job(id)) return *job;
  throw Error(ErrorCode::not_found, fmt::format("there is no job {}", id.number));
}

std::vector<Job> JobRunner::jobs(const catalog::JobFilter& filter) {
  std::vector<Job> jobs = catalog_.jobs(filter);
  for (Job& job : jobs) {
    if (!catalog::is_over(job.state)) job = this->job(job.id);
  }
  return jobs;
}

Job JobRunner::wait(JobId id, std::chrono::milliseconds timeout) {
  auto deadline = std::chrono::steady_clock::now() + timeout;
  while (true) {
    uint64_t ended_before = state_.lock()->ended_count;
    Job now = job(id);
    auto left = deadline - std::chrono::steady_clock::now();
    if (catalog::is_over(now.state) || left.count() <= 0) return now;
    auto state = state_.lock();
    state.wait_for(changed_, left,
                   [&] { return state->ended_count != ended_before || state->stopping; });
    if (state->stopping) return now;
  }
}

void JobRunner::stop() {
  std::deque<Task> dropped;
  {
    auto state = state_.lock();
    state->stopping = true;
    dropped.swap(state->queue);
    for (auto& [id, context] : state->live) {
      context->daemon_ends_ = true;
      context->stop_.request_stop();
    }
    changed_.notify_all();
  }
  for (Task& task : dropped) {
    end(*task.context, JobState::cancelled,
        Error(ErrorCode::cancelled, "the daemon ended before it began"));
  }
  threads_.clear();
}

AttachedJob::AttachedJob(JobRunner& runner, std::shared_ptr<JobContext> context)
    : runner_(runner), context_(std::move(context)) {}

AttachedJob::~AttachedJob() {
  if (!over_)
    end(JobState::failed, Error(ErrorCode::unavailable, "it ended before it was complete"));
}

JobId AttachedJob::id() const { return context_->id_; }

void AttachedJob::succeed() { end(JobState::succeeded, std::nullopt); }

void AttachedJob::fail(const Error& error) {
  end(error.code() == ErrorCode::cancelled ? JobState::cancelled : JobState::failed, error);
}

void AttachedJob::end(JobState state, std::optional<Error> error) {
  over_ = true;
  runner_.end(*context_, state, std::move(error));
}

}  // namespace appliance::jobs
