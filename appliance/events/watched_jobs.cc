#include "appliance/events/watched_jobs.h"

#include <string>

namespace appliance::events {
namespace {

Event event_of(EventKind kind, const catalog::Job& job) {
  return {.event = kind,
          .tenant = job.tenant,
          .kind = job.kind,
          .subject = job.subject,
          .id = std::to_string(job.id.number),
          .state = std::string(catalog::job_state_name(job.state)),
          .message = job.error_message};
}

}  // namespace

void WatchedJobs::start_job(catalog::JobId id, uint64_t now_ms) {
  records_.start_job(id, now_ms);
  if (auto job = records_.find_job(id)) log_.add(event_of(EventKind::job_begun, *job));
}

// Its end is durable, or will be: the runner keeps an outcome that could not be saved, and calls
// again.
void WatchedJobs::end_job(const catalog::Job& job) {
  records_.end_job(job);
  log_.add(event_of(EventKind::job_ended, job));
  if (on_end_) on_end_(job);
}

}  // namespace appliance::events
