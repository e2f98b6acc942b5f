#include "appliance/jobs/job_runner.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::jobs {
namespace {

constexpr uint64_t kSaveEveryMs = 3000;

}  // namespace

JobContext::JobContext(catalog::JobRecords& catalog, Job job, std::string unit)
    : catalog_(catalog), id_(job.id), unit_(std::move(unit)), job_(std::move(job)) {}

void JobContext::throw_if_stopped() const {
  if (stop_.stop_requested()) throw base::Error(base::ErrorCode::cancelled, "cancelled");
}

void JobContext::set_progress(JobProgress progress) {
  std::string figures;
  {
    auto job = job_.lock();
    job->progress = progress;
    figures = job->figures;
  }
  uint64_t now = base::steady_ms();
  {
    auto saved = saved_.lock();
    if (saved->steady_ms != 0 && now - saved->steady_ms < kSaveEveryMs) return;
    saved->steady_ms = now;
  }
  try {
    catalog_.save_progress(id_, progress, figures);
  } catch (const base::Error& error) {
    base::log().warn("cannot save the progress of job {}: {}", id_.number, error.message());
  }
}

void JobContext::set_figures(std::string figures) { job_.lock()->figures = std::move(figures); }

void JobContext::log(std::string_view text) {
  try {
    catalog_.log_job(id_, text, base::now_ms());
  } catch (const base::Error& error) {
    base::log().warn("cannot write the log of job {}: {} (the line was: {})", id_.number,
                     error.message(), text);
  }
}

void JobContext::start() {
  uint64_t now = base::now_ms();
  {
    auto job = job_.lock();
    job->state = catalog::JobState::running;
    job->started_ms = now;
  }
  try {
    catalog_.start_job(id_, now);
  } catch (const base::Error& error) {
    base::log().warn("cannot save that job {} started: {}", id_.number, error.message());
  }
}

void JobContext::end(catalog::JobState state, std::optional<base::Error> error) {
  auto job = job_.lock();
  job->state = state;
  job->ended_ms = base::now_ms();
  if (!error) return;
  job->error_code = error->code();
  job->error_message = error->message();
}

}  // namespace appliance::jobs
