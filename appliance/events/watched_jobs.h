// The catalog's jobs, for the job runner: every call is passed on, and the begin and the end of a
// job become events. Jobs that a full disk kept out of the catalog begin and end without an event.
// Thread-safe.
#pragma once

#include "appliance/catalog/job_records.h"
#include "appliance/events/event_log.h"

namespace appliance::events {

class WatchedJobs : public catalog::JobRecords {
 public:
  // Both must outlive it.
  WatchedJobs(catalog::JobRecords& records, EventLog& log) : records_(records), log_(log) {}

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
};

}  // namespace appliance::events
