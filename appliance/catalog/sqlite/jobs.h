// Jobs and their logs in SQLite. Contract: job_records.h.
#pragma once

#include "appliance/catalog/job_records.h"
#include "appliance/catalog/sqlite/database.h"

namespace appliance::catalog::sqlite {

class SqliteJobRecords : public virtual JobRecords {
 public:
  // `database` outlives it.
  explicit SqliteJobRecords(Connection& database) : database_(database) {}

  JobId add_job(const Job& job) override;
  void start_job(JobId id, uint64_t now_ms) override;
  void save_progress(JobId id, const JobProgress& progress, std::string_view figures) override;
  void end_job(const Job& job) override;
  void log_job(JobId id, std::string_view text, uint64_t now_ms) override;
  std::optional<Job> find_job(JobId id) override;
  std::vector<Job> jobs(const JobFilter& filter) override;
  std::vector<JobLogLine> job_log(JobId id, int64_t after_sequence, uint32_t limit) override;
  uint64_t fail_unfinished_jobs(const NodeId& node, std::string_view why, uint64_t now_ms) override;
  void prune_jobs(uint64_t keep) override;

 private:
  Connection& database_;
};

}  // namespace appliance::catalog::sqlite
