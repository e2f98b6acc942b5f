// Moves an instant VM to local storage, in steps.
#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "appliance/recovery/recovery.h"
#include "base/json_access.h"
#include "base/log.h"

namespace appliance::recovery {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLookEvery{500};

// The work of one job, step by step.
class PullJob {
 public:
  PullJob(const Recovery& recovery, const boot::InstantVm& vm, uint64_t bandwidth)
      : recovery_(recovery), vm_(vm), bandwidth_(bandwidth) {}

  std::optional<std::chrono::milliseconds> step(jobs::JobContext& context) {
    if (context.stop().stop_requested()) {
      // QEMU continues copying when the daemon stops, and the next daemon follows the pull.
      if (pull_ && !context.daemon_ends()) pull_->give_up();
      context.throw_if_stopped();
    }
    if (!pull_) {
      pull_ = recovery_.boots.begin_pull(vm_.id, bandwidth_);
      if (!pull_) return finish(context);
    }
    bool over = pull_->step();
    boot::PullProgress progress = pull_->progress();
    context.set_progress({progress.done, progress.total,
                          fmt::format("moving {} to local storage", vm_.machine_name)});
    return over ? finish(context) : std::optional(kLookEvery);
  }

 private:
  std::optional<std::chrono::milliseconds> finish(jobs::JobContext& context) {
    context.log("it no longer needs the store or its point");
    auto duration = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin_);
    nlohmann::json figures{{"boot", vm_.id.hex()}, {"duration_ms", duration.count()}};
    context.set_figures(base::dump_text(figures));
    base::log().info("boot {} of {} is local", vm_.id.hex(), vm_.machine_name);
    return std::nullopt;
  }

  const Recovery recovery_;
  const boot::InstantVm vm_;
  const uint64_t bandwidth_;
  const Clock::time_point begin_ = Clock::now();
  std::unique_ptr<boot::BlockPull> pull_;
};

}  // namespace

jobs::JobId submit_pull(const Recovery& recovery, const boot::InstantVm& vm, uint64_t bandwidth,
                        const access::Requester& requested_by) {
  jobs::JobSpec spec{"pull", vm.tenant, vm.machine_name, requested_by, "pull " + vm.id.hex()};
  auto job = std::make_shared<PullJob>(recovery, vm, bandwidth);
  return recovery.jobs.submit_steps(
      spec, [job](jobs::JobContext& context) { return job->step(context); });
}

}  // namespace appliance::recovery
