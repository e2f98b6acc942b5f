#include "appliance/jobs/job_runner.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/internal_errors.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::jobs {

using base::Error;
using base::ErrorCode;
using catalog::JobState;

namespace {

constexpr std::chrono::seconds kSaveAgainEvery{5};
constexpr std::chrono::seconds kStopPatience{60};
// Numbers that no row ever gets, and that fit into a JSON number.
constexpr int64_t kFirstRowless = 9'000'000'000'000'000;
constexpr int64_t kMaxRowless = 1000;
bool is_rowless(JobId id) { return id.number >= kFirstRowless; }

size_t number_of(Lane lane) { return static_cast<size_t>(lane); }

// "3 boot, 1 stop"
std::string counts(const std::map<std::string, size_t>& count_of) {
  std::string text;
  for (const auto& [kind, count] : count_of)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, kind);
  return text;
}

JobState outcome_of(const Error& error) {
  return error.code() == ErrorCode::cancelled ? JobState::cancelled : JobState::failed;
}

}  // namespace

JobRunner::JobRunner(catalog::JobRecords& catalog, const JobLimits& limits)
    : catalog_(catalog), limits_(limits) {
  uint64_t count = catalog_.fail_unfinished_jobs(
      limits_.node, "interrupted by a restart of the daemon", base::now_ms());
  if (count > 0) base::log().warn("{} jobs were interrupted when the daemon last stopped", count);
  catalog_.prune_jobs(limits_.keep_finished);
  auto state = state_.lock();
  for (size_t i = 0; i < kLaneCount; ++i) add_thread(*state, static_cast<Lane>(i));
  while (state->lanes[number_of(Lane::steps)].thread_count < traits_of(Lane::steps).thread_count)
    add_thread(*state, Lane::steps);
}

JobRunner::~JobRunner() { stop(); }

// ---- accepting jobs

std::shared_ptr<JobContext> JobRunner::make_context(const JobSpec& spec) {
  Job job;
  job.kind = spec.kind;
  job.tenant = spec.tenant;
  job.subject = spec.subject;
  job.requested_by = spec.requested_by.text();
  job.node = limits_.node;
  job.created_ms = base::now_ms();
  if (limits_.make_room) limits_.make_room();
  try {
    job.id = catalog_.add_job(job);
  } catch (const Error& error) {
    job.id = rowless_id(job, error);
  }
  return std::make_shared<JobContext>(catalog_, std::move(job), spec.unit);
}

void JobRunner::require_room(State& state, Lane lane, const TenantName& tenant) const {
  if (state.stopping)
    throw Error(ErrorCode::busy, "the daemon is stopping and accepts no more jobs");
  std::map<std::string, size_t> of_all, of_tenant;
  size_t all = 0, own = 0;
  auto add = [&](const std::string& kind, const TenantName& whose) {
    ++all;
    ++of_all[kind];
    if (whose != tenant) return;
    ++own;
    ++of_tenant[kind];
  };
  for (const Task& task : state.lanes[number_of(lane)].queue) add(task.kind, task.tenant);
  if (lane == Lane::steps) {
    for (const auto& each : state.stepped) add(each->context->snapshot().kind, each->tenant);
  }
  if (own < limits_.tenant_queue_size && all < limits_.queue_size) return;
  bool is_own = own >= limits_.tenant_queue_size;
  throw Error(
      ErrorCode::busy,
      fmt::format("{} jobs{} are already waiting for the lane of {} ({}); try again when some "
                  "of them have ended, or cancel some: muletto job list --state queued",
                  is_own ? own : all,
                  is_own ? fmt::format(" of the tenant '{}'", tenant.text()) : "",
                  traits_of(lane).name, counts(is_own ? of_tenant : of_all)));
}

JobId JobRunner::submit_once(const JobSpec& spec, const std::function<JobId()>& add) {
  if (spec.unit.empty()) return add();
  std::lock_guard<std::mutex> one_at_a_time(submitting_);
  {
    auto state = state_.lock();
    for (const auto& [id, context] : state->live) {
      if (context->unit_ == spec.unit && !catalog::is_over(context->snapshot().state)) return id;
    }
  }
  return add();
}

// Only for lack of space, and limited in number.
JobId JobRunner::rowless_id(const Job& job, const Error& reason) {
  auto state = state_.lock();
  if (reason.code() != ErrorCode::no_space || state->rowless_count == kMaxRowless) throw reason;
  JobId id{kFirstRowless + state->rowless_count++};
  base::log().warn("job {} ({} {}) is not in the catalog: {}", id.number, job.kind, job.subject,
                   reason.message());
  return id;
}

JobId JobRunner::submit(const JobSpec& spec, Work work) {
  Lane lane = lane_of(spec.kind);
  return submit_once(spec, [&] {
    require_room(*state_.lock(), lane, spec.tenant);
    auto context = make_context(spec);
    enqueue(lane, {context, spec.tenant, spec.kind, std::move(work)});
    return context->id_;
  });
}

JobId JobRunner::submit_steps(const JobSpec& spec, Step step) {
  return submit_once(spec, [&] {
    require_room(*state_.lock(), Lane::steps, spec.tenant);
    auto job = std::make_shared<SteppedJob>();
    job->context = make_context(spec);
    job->tenant = spec.tenant;
    job->step = std::move(step);
    job->due = Clock::now();
    auto state = state_.lock();
    state->live.emplace(job->context->id_, job->context);
    state->stepped.push_back(job);
    ++state->step_changes;
    lane_changed_[number_of(Lane::steps)].notify_one();
    return job->context->id_;
  });
}

std::future<void> JobRunner::run_part(Lane lane, const TenantName& tenant,
                                      std::function<void()> work) {
  require_room(*state_.lock(), lane, tenant);
  auto part = std::make_shared<std::packaged_task<void()>>(std::move(work));
  std::future<void> done = part->get_future();
  enqueue(lane, {nullptr, tenant, "part", [part](JobContext&) { (*part)(); }});
  return done;
}

std::unique_ptr<AttachedJob> JobRunner::attach(const JobSpec& spec) {
  auto context = make_context(spec);
  state_.lock()->live.emplace(context->id_, context);
  context->start();
  return std::make_unique<AttachedJob>(*this, context);
}

void JobRunner::enqueue(Lane lane, Task task) {
  auto state = state_.lock();
  LaneState& its = state->lanes[number_of(lane)];
  if (task.context) state->live.emplace(task.context->id_, task.context);
  its.queue.push_back(std::move(task));
  uint32_t limit = std::min(traits_of(lane).thread_count, limits_.thread_count);
  if (its.busy_count + its.queue.size() > its.thread_count && its.thread_count < limit) {
    try {
      add_thread(*state, lane);
    } catch (const std::exception& error) {
      // The existing threads of the lane will get to it.
      base::log().warn("cannot start another thread for the lane of {}: {}", traits_of(lane).name,
                       error.what());
    }
  }
  lane_changed_[number_of(lane)].notify_one();
}

void JobRunner::add_thread(State& state, Lane lane) {
  state.threads.emplace_back(
      fmt::format("jobs: {}", traits_of(lane).name), base::AfterFailure::begin_again,
      [this, lane](const std::stop_token&) { lane == Lane::steps ? run_steps() : run_lane(lane); });
  ++state.lanes[number_of(lane)].thread_count;
}

// ---- lanes

// The first one of the tenant that has fewest running: a hundred jobs of one tenant do not make
// another wait.
JobRunner::Task JobRunner::take(LaneState& lane) {
  auto best = lane.queue.begin();
  auto running = [&](const Task& task) {
    auto found = lane.running_of.find(task.tenant);
    return found == lane.running_of.end() ? 0u : found->second;
  };
  for (auto each = lane.queue.begin(); each != lane.queue.end(); ++each) {
    if (running(*each) < running(*best)) best = each;
  }
  Task task = std::move(*best);
  lane.queue.erase(best);
  ++lane.running_of[task.tenant];
  ++lane.busy_count;
  return task;
}

void JobRunner::run_lane(Lane lane) {
  while (true) {
    Task task;
    {
      auto state = state_.lock();
      LaneState& its = state->lanes[number_of(lane)];
      state.wait(lane_changed_[number_of(lane)],
                 [&] { return state->stopping || !its.queue.empty(); });
      if (its.queue.empty()) return;
      task = take(its);
    }
    base::run_guarded("the end of a job", [&] { run(task); });
    auto state = state_.lock();
    LaneState& its = state->lanes[number_of(lane)];
    --its.busy_count;
    if (--its.running_of[task.tenant] == 0) its.running_of.erase(task.tenant);
  }
}

void JobRunner::run(Task& task) {
  if (!task.context) {
    // What it throws is in its future, and the context is not used.
    Job nameless;
    JobContext unused(catalog_, nameless, "");
    task.work(unused);
    return;
  }
  JobContext& context = *task.context;
  if (context.stop().stop_requested()) {
    end(context, JobState::cancelled, Error(ErrorCode::cancelled, "cancelled before it started"));
    return;
  }
  run_work(context, [&] {
    context.start();
    task.work(context);
    task.work = nullptr;  // before the end is announced: what the work holds is released
    end(context, JobState::succeeded, std::nullopt);
  });
}

// The outer boundary of one job: the only place that catches what its work throws.
void JobRunner::run_work(JobContext& context, const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    end(context, outcome_of(error), error);
  } catch (...) {
    std::string words = base::describe_exception(std::current_exception());
    base::report_internal_error("a job of the kind " + context.snapshot().kind, words);
    end(context, JobState::failed, Error(ErrorCode::io, "unexpected failure: " + words));
  }
}

// ---- jobs in steps

// A job that is due, marked as busy; or nothing, and when to look again.
std::shared_ptr<JobRunner::SteppedJob> JobRunner::next_step(Clock::time_point& wake,
                                                            uint64_t& seen) {
  auto state = state_.lock();
  seen = state->step_changes;
  auto now = Clock::now();
  std::shared_ptr<SteppedJob> next;
  wake = now + kSaveAgainEvery;
  for (const auto& job : state->stepped) {
    if (job->is_busy) continue;
    if (!job->knows_stop && job->context->stop().stop_requested()) job->due = now;
    if (!next || job->due < next->due) next = job;
  }
  if (!next) return nullptr;
  if (next->due > now) {
    wake = std::min(wake, next->due);
    return nullptr;
  }
  next->is_busy = true;
  next->knows_stop = next->context->stop().stop_requested();
  return next;
}

// Nothing if it has ended, whatever its outcome.
std::optional<std::chrono::milliseconds> JobRunner::take_step(SteppedJob& job) {
  std::optional<std::chrono::milliseconds> again;
  run_work(*job.context, [&] {
    if (!job.has_begun) job.context->start();
    job.has_begun = true;
    again = job.step(*job.context);
    if (again) return;
    job.step = nullptr;
    end(*job.context, JobState::succeeded, std::nullopt);
  });
  return again;
}

void JobRunner::run_steps() {
  std::condition_variable& changed = lane_changed_[number_of(Lane::steps)];
  while (true) {
    Clock::time_point wake;
    uint64_t seen = 0;
    std::shared_ptr<SteppedJob> job = next_step(wake, seen);
    if (job) {
      std::optional<std::chrono::milliseconds> again;
      base::run_guarded("the end of a job", [&] { again = take_step(*job); });
      auto state = state_.lock();
      job->is_busy = false;
      if (again) job->due = Clock::now() + *again;
      else std::erase(state->stepped, job);
      ++state->step_changes;
      changed.notify_one();
      continue;
    }
    save_outcomes();
    auto state = state_.lock();
    bool ends = state->stopping && (state->stepped.empty() || Clock::now() > state->give_up);
    if (ends) return;
    if (state->stopping) wake = std::min(wake, Clock::now() + std::chrono::milliseconds(50));
    state.wait_for(changed, wake - Clock::now(), [&] { return state->step_changes != seen; });
  }
}

// ---- the end of jobs

void JobRunner::end(JobContext& context, JobState outcome, std::optional<Error> error) {
  Job job = context.snapshot();
  if (error) {
    base::log().warn("job {} ({} {}) {}: {}", job.id.number, job.kind, job.subject,
                     catalog::job_state_name(outcome), error->message());
  } else {
    base::log().info("job {} ({} {}) {}", job.id.number, job.kind, job.subject,
                     catalog::job_state_name(outcome));
  }
  context.end(outcome, std::move(error));
  bool saved = true;
  try {
    if (!is_rowless(job.id)) context.save_outcome();
  } catch (const std::exception& failure) {
    // The outcome stays in memory, where it can be queried; saving it is retried.
    base::log().error("cannot save the outcome of job {}: {}", job.id.number, failure.what());
    saved = false;
  }
  auto state = state_.lock();
  if (!saved) ++state->unsaved_count;
  else if (!is_rowless(job.id)) state->live.erase(job.id);
  ++state->ended_count;
  changed_.notify_all();
}

// Saves the outcomes that the catalog could not store when the jobs ended.
void JobRunner::save_outcomes() {
  std::vector<std::shared_ptr<JobContext>> unsaved;
  {
    auto state = state_.lock();
    if (state->unsaved_count == 0) return;
    state->unsaved_count = 0;  // this thread handles them now
    for (const auto& [id, context] : state->live) {
      if (!is_rowless(id) && catalog::is_over(context->snapshot().state))
        unsaved.push_back(context);
    }
  }
  for (const auto& context : unsaved) {
    bool saved = true;
    try {
      context->save_outcome();
    } catch (const Error&) {
      saved = false;  // logged once, when the job ended
    }
    auto state = state_.lock();
    if (saved) state->live.erase(context->id_);
    else ++state->unsaved_count;
  }
}

void JobRunner::cancel(JobId id) {
  std::shared_ptr<JobContext> context;
  bool queued = false;
  {
    auto state = state_.lock();
    auto found = state->live.find(id);
    if (found != state->live.end()) context = found->second;
    for (LaneState& lane : state->lanes) {
      if (!context) break;
      queued = queued || std::erase_if(lane.queue, [&](const Task& task) {
                           return task.context == context;
                         }) > 0;
    }
  }
  if (!context || catalog::is_over(context->snapshot().state)) {
    Job over = job(id);
    throw Error(ErrorCode::invalid_argument, fmt::format("job {} has ended: it {}", id.number,
                                                         catalog::job_state_name(over.state)));
  }
  context->stop_.request_stop();
  {
    auto state = state_.lock();
    ++state->step_changes;
    lane_changed_[number_of(Lane::steps)].notify_all();
  }
  if (queued)
    end(*context, JobState::cancelled, Error(ErrorCode::cancelled, "cancelled before it started"));
}

void JobRunner::stop() {
  std::vector<Task> dropped;
  std::vector<base::GuardedThread> threads;
  {
    auto state = state_.lock();
    state->stopping = true;
    state->give_up = Clock::now() + kStopPatience;
    for (LaneState& lane : state->lanes) {
      std::move(lane.queue.begin(), lane.queue.end(), std::back_inserter(dropped));
      lane.queue.clear();
    }
    for (auto& [id, context] : state->live) {
      context->daemon_ends_ = true;
      context->stop_.request_stop();
    }
    threads.swap(state->threads);
    ++state->step_changes;
    changed_.notify_all();
    for (std::condition_variable& each : lane_changed_) each.notify_all();
  }
  for (Task& task : dropped) {
    if (!task.context) continue;
    end(*task.context, JobState::cancelled,
        Error(ErrorCode::cancelled, "the daemon ended before it started"));
  }
  dropped.clear();
  threads.clear();
  std::vector<std::shared_ptr<SteppedJob>> left;
  left.swap(state_.lock()->stepped);
  for (const auto& job : left)
    end(*job->context, JobState::cancelled, Error(ErrorCode::cancelled, "the daemon ended"));
}

// ---- queries

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
  auto deadline = Clock::now() + timeout;
  while (true) {
    uint64_t ended_before = state_.lock()->ended_count;
    Job now = job(id);
    auto left = deadline - Clock::now();
    if (catalog::is_over(now.state) || left.count() <= 0) return now;
    auto state = state_.lock();
    state.wait_for(changed_, left,
                   [&] { return state->ended_count != ended_before || state->stopping; });
    if (state->stopping) return now;
  }
}

}  // namespace appliance::jobs
