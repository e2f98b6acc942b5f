// Long-running work: each job has an id, progress, figures, a log and an outcome that survives the
// daemon.
//
// Where a job runs. Work that keeps a processor or a disk busy is submitted: it gets a thread of
// its kind's lane (lanes.h), tenants in turn. Work that mostly waits (for a guest, for QEMU's
// copying) is submitted in steps: it is called again and again and holds no thread between two
// calls. A sync runs on its session's thread and is attached. A job that runs when the daemon dies
// is marked failed at the next start of the same node. Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "appliance/access/requester.h"
#include "appliance/catalog/job_records.h"
#include "appliance/jobs/lanes.h"
#include "base/guarded.h"
#include "base/guarded_thread.h"

namespace appliance::jobs {

using access::Requester;
using access::TenantName;
using catalog::Job;
using catalog::JobId;
using catalog::JobProgress;

struct JobSpec {
  std::string kind;
  TenantName tenant;
  std::string subject;
  Requester requested_by;
  // Jobs with the same non-empty unit are one: while a job with it waits or runs, submitting
  // another returns the id of that job. Units are global to the appliance: include the kind and the
  // tenant.
  std::string unit{};
};

// What the work of one job sees. Thread-safe; valid while the job runs.
class JobContext {
 public:
  JobContext(catalog::JobRecords& catalog, Job job, std::string unit);

  std::stop_token stop() const { return stop_.get_token(); }
  // Throws cancelled once the job was asked to stop.
  void throw_if_stopped() const;
  // It was asked because the daemon is stopping, not because someone wants the work undone.
  bool daemon_ends() const { return daemon_ends_; }
  // Cheap: kept in memory, saved every few seconds. `total` 0 means unknown.
  void set_progress(JobProgress progress);
  std::string requested_by() { return snapshot().requested_by; }
  // A JSON object that replaces the previous one.
  void set_figures(std::string figures);
  // One line of the job's log; durable. A full disk does not fail the job.
  void log(std::string_view text);

 private:
  friend class JobRunner;
  friend class AttachedJob;
  // If the catalog cannot be written, the work is done anyway.
  void start();
  void end(catalog::JobState state, std::optional<base::Error> error);  // in memory
  void save_outcome() { catalog_.end_job(snapshot()); }
  Job snapshot() { return *job_.lock(); }

  catalog::JobRecords& catalog_;
  const JobId id_;
  const std::string unit_;
  std::stop_source stop_;
  std::atomic<bool> daemon_ends_ = false;
  struct Saved {
    uint64_t steady_ms = 0;
  };
  base::Guarded<Job> job_;
  base::Guarded<Saved> saved_;
};

class JobRunner;

// A job whose work runs on its owner's thread. If it is destroyed without an outcome it has failed.
class AttachedJob {
 public:
  AttachedJob(JobRunner& runner, std::shared_ptr<JobContext> context);
  ~AttachedJob();
  AttachedJob(const AttachedJob&) = delete;
  AttachedJob& operator=(const AttachedJob&) = delete;

  JobContext& context() { return *context_; }
  JobId id() const;
  void succeed();
  void fail(const base::Error& error);  // the code cancelled makes it cancelled

 private:
  void end(catalog::JobState state, std::optional<base::Error> error);
  JobRunner& runner_;
  std::shared_ptr<JobContext> context_;
  bool over_ = false;
};

struct JobLimits {
  uint32_t thread_count = 64;       // maximum per lane; lanes have lower limits of their own
  size_t queue_size = 500;          // waiting jobs of one lane
  size_t tenant_queue_size = 250;   // of these, jobs of one tenant
  uint64_t keep_finished = 10'000;  // finished jobs kept in the catalog
  catalog::NodeId node{};           // of this process; recorded with each job
  // Called before each job is created; may make room on a full disk. Must not throw.
  std::function<void()> make_room{};
};

class JobRunner {
 public:
  using Work = std::function<void(JobContext&)>;
  // One step: does what can be done within a second or two, and returns when to be called again;
  // nullopt when the work is done. What it throws is the job's outcome. Once the job was asked to
  // stop, it is called at once, to clean up and to throw cancelled. Never called concurrently.
  using Step = std::function<std::optional<std::chrono::milliseconds>(JobContext&)>;

  // Marks the jobs of a dead daemon of the same node as failed.
  JobRunner(catalog::JobRecords& catalog, const JobLimits& limits);
  ~JobRunner();  // as stop()

  // If the disk is so full that a job cannot be recorded, it is started anyway, since it may be the
  // one that frees space: its number is from a separate range, and it is known until the daemon
  // ends.

  // Queues the job and returns its id, or that of the job with the same unit. Throws busy if too
  // many are waiting, with a sentence that says which, and when the daemon is stopping.
  JobId submit(const JobSpec& spec, Work work);
  // Like submit(), for work in steps; the first step is taken at once.
  JobId submit_steps(const JobSpec& spec, Step step);
  std::unique_ptr<AttachedJob> attach(const JobSpec& spec);
  // A part of a job, on a thread of that lane and without an id of its own. The future throws what
  // the work throws, or std::future_error if the daemon ended first. Throws busy as submit().
  std::future<void> run_part(Lane lane, const TenantName& tenant, std::function<void()> work);

  // Asks the job to stop; it may take a while. Throws not_found, invalid_argument (it has ended).
  void cancel(JobId id);

  // For a job that has not ended; otherwise does nothing.
  void set_progress(JobId id, const JobProgress& progress);

  // With live progress. Throws not_found.
  Job job(JobId id);
  std::vector<Job> jobs(const catalog::JobFilter& filter);  // newest first
  // Waits until the job has ended, at most `timeout`; returns the job as it is then.
  Job wait(JobId id, std::chrono::milliseconds timeout);

  // Accepts no more jobs, asks all to stop and waits for the threads. Attached jobs are their
  // owners' responsibility.
  void stop();

 private:
  friend class AttachedJob;
  using Clock = std::chrono::steady_clock;
  struct Task {
    std::shared_ptr<JobContext> context;  // null: a part of a job
    TenantName tenant;
    std::string kind;
    Work work;
  };
  struct LaneState {
    std::deque<Task> queue;
    std::map<TenantName, uint32_t> running_of;
    uint32_t thread_count = 0, busy_count = 0;
  };
  struct SteppedJob {
    std::shared_ptr<JobContext> context;
    TenantName tenant;
    Step step;
    Clock::time_point due;
    bool has_begun = false, is_busy = false, knows_stop = false;
  };
  struct State {
    std::array<LaneState, kLaneCount> lanes;
    std::vector<std::shared_ptr<SteppedJob>> stepped;
    std::map<JobId, std::shared_ptr<JobContext>> live;  // queued, running, and ended but not saved
    std::vector<base::GuardedThread> threads;
    size_t unsaved_count = 0;
    uint64_t step_changes = 0;  // a job in steps was added, took a step or is to stop
    uint64_t ended_count = 0;
    int64_t rowless_count = 0;  // jobs that could not be recorded
    bool stopping = false;
    Clock::time_point give_up;  // when `stopping`: deadline for jobs in steps that do not end
  };

  JobId submit_once(const JobSpec& spec, const std::function<JobId()>& add);
  std::shared_ptr<JobContext> make_context(const JobSpec& spec);
  JobId rowless_id(const Job& job, const base::Error& reason);
  void require_room(State& state, Lane lane, const TenantName& tenant) const;
  void enqueue(Lane lane, Task task);
  void add_thread(State& state, Lane lane);
  void run_lane(Lane lane);
  static Task take(LaneState& lane);
  void run(Task& task);
  void run_work(JobContext& context, const std::function<void()>& work);
  void run_steps();
  std::shared_ptr<SteppedJob> next_step(Clock::time_point& wake, uint64_t& seen);
  std::optional<std::chrono::milliseconds> take_step(SteppedJob& job);
  void end(JobContext& context, catalog::JobState state, std::optional<base::Error> error);
  void save_outcomes();

  catalog::JobRecords& catalog_;
  const JobLimits limits_;
  // Makes looking for a job with the same unit and adding one a single step.
  std::mutex submitting_;
  base::Guarded<State> state_;
  std::condition_variable changed_;  // with state_: a job's end, `stopping`
  std::array<std::condition_variable, kLaneCount> lane_changed_;  // with state_: queues, steps
};

}  // namespace appliance::jobs
