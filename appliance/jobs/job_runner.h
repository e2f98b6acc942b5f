// Long work: each job has an id, progress, figures, a log and an outcome that survives the daemon.
// Submitted jobs run on a bounded number of threads in the order they came; a sync runs on its
// session's thread and is attached. A job that runs when the daemon dies is marked failed at the
// next start. Thread-safe.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "appliance/catalog/catalog.h"
#include "base/guarded.h"

namespace appliance::jobs {

using catalog::Job;
using catalog::JobId;
using catalog::JobProgress;

struct JobSpec {
  std::string kind;
  std::string tenant;
  std::string subject;
};

// What the work of one job sees. Thread-safe; valid while the job runs.
class JobContext {
 public:
  JobContext(catalog::Catalog& catalog, Job job);

  std::stop_token stop() const { return stop_.get_token(); }
  // Throws cancelled once the job was asked to stop.
  void throw_if_stopped() const;
  // It was asked because the daemon ends, not because somebody wants the work undone.
  bool daemon_ends() const { return daemon_ends_; }
  // Cheap: kept in memory, saved every few seconds. `total` 0 means unknown.
  void set_progress(JobProgress progress);
  // A JSON object that replaces the former one.
  void set_figures(std::string figures);
  // One line of the job's log; durable. A full disk does not fail the job.
  void log(std::string_view text);

 private:
  friend class JobRunner;
  friend class AttachedJob;
  void start();
  void end(catalog::JobState state, std::optional<base::Error> error);
  Job snapshot() { return *job_.lock(); }

  catalog::Catalog& catalog_;
  const JobId id_;
  std::stop_source stop_;
  std::atomic<bool> daemon_ends_ = false;
  struct Saved {
    uint64_t time_ms = 0;
  };
  base::Guarded<Job> job_;
  base::Guarded<Saved> saved_;
};

class JobRunner;

// A job whose work runs on its owner's thread. Destroyed without an outcome it has failed.
class AttachedJob {
 public:
  AttachedJob(JobRunner& runner, std::shared_ptr<JobContext> context);
  ~AttachedJob();
  AttachedJob(const AttachedJob&) = delete;
  AttachedJob& operator=(const AttachedJob&) = delete;

  JobContext& context() { return *context_; }
  JobId id() const;
  void succeed();
  void fail(const base::Error& error);  // a code of cancelled makes it cancelled

 private:
  void end(catalog::JobState state, std::optional<base::Error> error);
  JobRunner& runner_;
  std::shared_ptr<JobContext> context_;
  bool over_ = false;
};

struct JobLimits {
  uint32_t thread_count = 8;
  size_t queue_size = 500;
  uint64_t keep_finished = 10'000;
};

class JobRunner {
 public:
  using Work = std::function<void(JobContext&)>;

  // Marks jobs that a dead daemon left as failed.
  JobRunner(catalog::Catalog& catalog, const JobLimits& limits);
  ~JobRunner();  // as stop()

  // Queues the job and returns its id. Throws busy when the queue is full or the daemon stops.
  JobId submit(const JobSpec& spec, Work work);
  std::unique_ptr<AttachedJob> attach(const JobSpec& spec);

  // Asks the job to stop; it may take a while. Throws not_found, invalid_argument (it is over).
  void cancel(JobId id);

  // Of a job that is under way; nothing happens to one that is over.
  void set_progress(JobId id, const JobProgress& progress);

  // With live progress. Throws not_found.
  Job job(JobId id);
  std::vector<Job> jobs(const catalog::JobFilter& filter);  // newest first
  // Waits until the job is over, at most `timeout`; the job as it is then.
  Job wait(JobId id, std::chrono::milliseconds timeout);

  // Takes no more jobs, asks all to stop and waits for the threads. Attached jobs are their owners'
  // care.
  void stop();

 private:
  friend class AttachedJob;
  struct Task {
    std::shared_ptr<JobContext> context;
    Work work;
  };
  struct State {
    std::deque<Task> queue;
    std::map<JobId, std::shared_ptr<JobContext>> live;  // queued, running, and over but not saved
    uint64_t ended_count = 0;
    bool stopping = false;
  };

  std::shared_ptr<JobContext> make_context(const JobSpec& spec);
  void run_tasks();
  void run(Task& task);
  void end(JobContext& context, catalog::JobState state, std::optional<base::Error> error);

  catalog::Catalog& catalog_;
  const JobLimits limits_;
  base::Guarded<State> state_;
  std::condition_variable changed_;  // with state_: the queue, `stopping`, a job's end
  std::vector<std::jthread> threads_;
};

}  // namespace appliance::jobs
