#include "appliance/jobs/job_runner.h"
#include "base/error.h"

namespace appliance::jobs {

using base::Error;
using base::ErrorCode;
using catalog::JobState;

AttachedJob::AttachedJob(JobRunner& runner, std::shared_ptr<JobContext> context)
    : runner_(runner), context_(std::move(context)) {}

AttachedJob::~AttachedJob() {
  if (over_) return;
  base::run_guarded("the end of a job", [this] {
    end(JobState::failed, Error(ErrorCode::unavailable, "it ended before it was complete"));
  });
}

JobId AttachedJob::id() const { return context_->id_; }

void AttachedJob::succeed() { end(JobState::succeeded, std::nullopt); }

void AttachedJob::fail(const Error& error) {
  end(error.code() == ErrorCode::cancelled ? JobState::cancelled : JobState::failed, error);
}

void AttachedJob::end(JobState state, std::optional<Error> error) {
  over_ = true;
  runner_.end(*context_, state, std::move(error));
}

}  // namespace appliance::jobs
