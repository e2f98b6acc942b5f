#include "appliance/catalog/sqlite/jobs.h"

#include <fmt/format.h>

namespace appliance::catalog::sqlite {
namespace {

constexpr std::string_view kSelect =
    "SELECT j.id, j.kind, t.name, j.subject, j.state, j.done, j.total, j.phase, j.figures, "
    "j.error_code, j.error_message, j.created_ms, j.started_ms, j.ended_ms, j.requested_by, j.node "
    "FROM jobs j JOIN tenants t ON t.id = j.tenant ";

Job read_job(Statement& row) {
  Job job;
  job.id = JobId{row.integer(0)};
  job.kind = row.text(1);
  job.tenant = TenantName(row.text(2));
  job.subject = row.text(3);
  job.state = job_state_from_name(row.text(4));
  job.progress = {row.natural(5), row.natural(6), row.text(7)};
  job.figures = row.text(8);
  if (!row.is_null(9)) job.error_code = base::error_code_from_name(row.text(9));
  job.error_message = row.text(10);
  job.created_ms = row.natural(11);
  if (!row.is_null(12)) job.started_ms = row.natural(12);
  if (!row.is_null(13)) job.ended_ms = row.natural(13);
  job.requested_by = row.text(14);
  if (!row.is_null(15)) job.node = NodeId::from_hex(row.text(15));
  return job;
}

}  // namespace

JobId SqliteJobRecords::add_job(const Job& job) {
  auto database = database_.lock();
  Statement statement = (*database)->insert(
      "jobs", {"kind", "tenant", "subject", "state", "created_ms", "requested_by", "node"});
  statement.bind(job.kind, tenant_id(**database, job.tenant), job.subject,
                 job_state_name(JobState::queued), job.created_ms, job.requested_by,
                 job.node.hex());
  return JobId{statement.run_for_id()};
}

void SqliteJobRecords::start_job(JobId id, uint64_t now_ms) {
  (*database_.lock())
      ->prepare("UPDATE jobs SET state = 'running', started_ms = ? WHERE id = ?")
      .bind(now_ms, id.number)
      .run();
}

void SqliteJobRecords::save_progress(JobId id, const JobProgress& progress,
                                     std::string_view figures) {
  (*database_.lock())
      ->prepare("UPDATE jobs SET done = ?, total = ?, phase = ?, figures = ? WHERE id = ?")
      .bind(progress.done, progress.total, progress.phase, figures, id.number)
      .run();
}

void SqliteJobRecords::end_job(const Job& job) {
  std::optional<std::string_view> code;
  if (job.error_code) code = base::error_code_name(*job.error_code);
  (*database_.lock())
      ->prepare(
          "UPDATE jobs SET state = ?, done = ?, total = ?, phase = ?, figures = ?, error_code = ?, "
          "error_message = ?, ended_ms = ? WHERE id = ?")
      .bind(job_state_name(job.state), job.progress.done, job.progress.total, job.progress.phase,
            job.figures, code, job.error_message, job.ended_ms, job.id.number)
      .run();
}

void SqliteJobRecords::log_job(JobId id, std::string_view text, uint64_t now_ms) {
  (*database_.lock())
      ->prepare(
          "INSERT INTO job_log(job, sequence, time_ms, text) "
          "SELECT ?1, n, ?2, ?3 FROM (SELECT coalesce(max(sequence), 0) + 1 AS n FROM job_log "
          "WHERE job = ?1) "
          "WHERE n <= ?4")
      .bind(id.number, now_ms, text, kMaxLogLines)
      .run();
}

std::optional<Job> SqliteJobRecords::find_job(JobId id) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(fmt::format("{} WHERE j.id = ?", kSelect));
  statement.bind(id.number);
  if (!statement.step()) return std::nullopt;
  return read_job(statement);
}

std::vector<Job> SqliteJobRecords::jobs(const JobFilter& filter) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      fmt::format("{} WHERE (?1 = '' OR j.state = ?1) AND (?2 = '' OR j.kind "
                  "= ?2) AND (?3 = '' OR j.subject = ?3) AND (?5 IS NULL OR t.name = ?5) "
                  "ORDER BY j.id DESC LIMIT ?4",
                  kSelect));
  statement.bind(filter.state ? job_state_name(*filter.state) : std::string_view(), filter.kind,
                 filter.subject, filter.limit, tenant_filter(**database, filter.scope));
  std::vector<Job> jobs;
  while (statement.step()) jobs.push_back(read_job(statement));
  return jobs;
}

std::vector<JobLogLine> SqliteJobRecords::job_log(JobId id, int64_t after_sequence,
                                                  uint32_t limit) {
  auto database = database_.lock();
  Statement statement = (*database)->prepare(
      "SELECT sequence, time_ms, text FROM job_log WHERE job = ? AND sequence > ? ORDER BY "
      "sequence LIMIT ?");
  statement.bind(id.number, after_sequence, limit);
  std::vector<JobLogLine> lines;
  while (statement.step())
    lines.push_back({statement.integer(0), statement.natural(1), statement.text(2)});
  return lines;
}

uint64_t SqliteJobRecords::fail_unfinished_jobs(const NodeId& node, std::string_view why,
                                                uint64_t now_ms) {
  auto database = database_.lock();
  (*database)
      ->prepare(
          "UPDATE jobs SET state = 'failed', error_code = 'unavailable', error_message = ?, "
          "ended_ms = ? WHERE state IN ('queued', 'running') AND (node = ? OR node IS NULL)")
      .bind(why, now_ms, node.hex())
      .run();
  return static_cast<uint64_t>((*database)->changed_rows());
}

void SqliteJobRecords::prune_jobs(uint64_t keep) {
  (*database_.lock())
      ->prepare(
          "DELETE FROM jobs WHERE ended_ms IS NOT NULL AND id NOT IN "
          "(SELECT id FROM jobs WHERE ended_ms IS NOT NULL ORDER BY id DESC LIMIT ?)")
      .bind(keep)
      .run();
}

}  // namespace appliance::catalog::sqlite
