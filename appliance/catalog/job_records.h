// Jobs and their logs. Errors and durability: catalog.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/catalog/records.h"

namespace appliance::catalog {

struct JobFilter {
  TenantScope scope;  // by default no tenant's
  std::optional<JobState> state{};
  std::string kind{};     // empty: any
  std::string subject{};  // empty: any
  uint32_t limit = 100;   // the newest ones
};

class JobRecords {
 public:
  static constexpr int64_t kMaxLogLines = 2000;

  virtual ~JobRecords() = default;

  // Returns its id, higher than any before; the job is queued.
  virtual JobId add_job(const Job& job) = 0;
  virtual void start_job(JobId id, uint64_t now_ms) = 0;
  virtual void save_progress(JobId id, const JobProgress& progress, std::string_view figures) = 0;
  virtual void end_job(const Job& job) = 0;  // state, progress, figures, error, ended_ms
  // At most kMaxLogLines per job; further lines are dropped.
  virtual void log_job(JobId id, std::string_view text, uint64_t now_ms) = 0;
  // Of any tenant: the caller checks the job's tenant.
  virtual std::optional<Job> find_job(JobId id) = 0;
  virtual std::vector<Job> jobs(const JobFilter& filter) = 0;  // newest first
  virtual std::vector<JobLogLine> job_log(JobId id, int64_t after_sequence, uint32_t limit) = 0;
  // Jobs that a dead daemon of this node left queued or running become failed, and those that name
  // no node. Another node's jobs are its own. Returns how many.
  virtual uint64_t fail_unfinished_jobs(const NodeId& node, std::string_view why,
                                        uint64_t now_ms) = 0;
  // Removes all but the newest `keep` finished jobs.
  virtual void prune_jobs(uint64_t keep) = 0;
};

}  // namespace appliance::catalog
