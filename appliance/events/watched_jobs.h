// The catalog's jobs, for the job runner: every call is passed on, the begin and the end of a job
// become events, and whoever wants to know is told of its end. Jobs that a full disk kept out of the catalog begin and end without an event.
// Thread-safe.
#pragma once

#include <functional>

#include "appliance/catalog/job_records.h"
#include "appliance/events/event_log.h"

namespace appliance::events {

class WatchedJobs : public catalog::JobRecords {
 public:
  using OnEnd = std::function<void(const catalog::Job&)>;

  // Both must outlive it. `on_end` may be empty; it is called on any thread and must be quick.
  WatchedJobs(catalog::JobRecords& records, EventLog& log, OnEnd on_end = {})
      : records_(records), log_(log), on_end_(std::move(on_end)) {}

  catalog::JobId add_job(const catalog::Job& job) override { return records_.add_job(job); }
  void start_job(catalog::JobId id, uint64_t now_ms) override;
  void save_progress(catalog::JobId id, const catalog::JobProgress& progress,
                     std::string_view figures) override {
    records_.save_progress(id, progress, figures);
  }
  void end_job(const catalog::Job& job) override;
  void log_job(catalog::JobId id, std::string_view text, uint64_t now_ms) override {
    records_.log_job(id, text, now_ms);
  }
  std::optional<catalog::Job> find_job(catalog::JobId id) override { return records_.find_job(id); }
  std::vector<catalog::Job> jobs(const catalog::JobFilter& filter) override {
    return records_.jobs(filter);
  }
  std::vector<catalog::JobLogLine> job_log(catalog::JobId id, int64_t after_sequence,
                                           uint32_t limit) override {
    return records_.job_log(id, after_sequence, limit);
  }
  uint64_t fail_unfinished_jobs(const catalog::NodeId& node, std::string_view why,
                                uint64_t now_ms) override {
    return records_.fail_unfinished_jobs(node, why, now_ms);
  }
  void prune_jobs(uint64_t keep) override { records_.prune_jobs(keep); }

 private:
  catalog::JobRecords& records_;
  EventLog& log_;
  const OnEnd on_end_;
};

}  // namespace appliance::events
