// Moving an instant VM onto local storage, as a job in steps: it takes hours, and no thread.
#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "appliance/api/body_fields.h"
#include "appliance/api/routes.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/log.h"
#include "base/text.h"

namespace appliance::api {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLookEvery{500};
constexpr uint64_t kMaxBandwidth = 1ull << 40;  // bytes per second

// The work of one job, step by step.
class PullJob {
 public:
  PullJob(Services& services, const boot::InstantVm& vm, uint64_t bandwidth)
      : services_(services), vm_(vm), bandwidth_(bandwidth) {}

  std::optional<std::chrono::milliseconds> step(jobs::JobContext& context) {
    if (context.stop().stop_requested()) {
      // QEMU copies on for a daemon that ends, and its successor takes the pull up.
      if (pull_ && !context.daemon_ends()) pull_->give_up();
      context.throw_if_stopped();
    }
    if (!pull_) {
      pull_ = services_.boots.begin_pull(vm_.id, bandwidth_);
      if (!pull_) return finish(context);
    }
    bool over = pull_->step();
    boot::PullProgress progress = pull_->progress();
    context.set_progress({progress.done, progress.total,
                          fmt::format("moving {} onto local storage", vm_.machine_name)});
    return over ? finish(context) : std::optional(kLookEvery);
  }

 private:
  std::optional<std::chrono::milliseconds> finish(jobs::JobContext& context) {
    context.log("it needs neither the store nor its point any more");
    auto duration = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin_);
    nlohmann::json figures{{"boot", vm_.id.hex()}, {"duration_ms", duration.count()}};
    context.set_figures(base::dump_text(figures));
    base::log().info("boot {} of {} is local", vm_.id.hex(), vm_.machine_name);
    return std::nullopt;
  }

  Services& services_;
  const boot::InstantVm vm_;
  const uint64_t bandwidth_;
  const Clock::time_point begin_ = Clock::now();
  std::unique_ptr<boot::BlockPull> pull_;
};

Response pull_boot(Services& services, const Request& request) {
  BodyFields body(request.body);
  uint64_t bandwidth = body.natural("bandwidth", 1, kMaxBandwidth).value_or(0);
  body.expect_no_more();
  boot::InstantVm vm = find_boot(services, request);
  return accepted(services, submit_pull(services, vm, bandwidth));
}

}  // namespace

jobs::JobId submit_pull(Services& services, const boot::InstantVm& vm, uint64_t bandwidth) {
  jobs::JobSpec spec{"pull", tenant_of(services, vm), vm.machine_name, "pull " + vm.id.hex()};
  auto job = std::make_shared<PullJob>(services, vm, bandwidth);
  return services.jobs.submit_steps(
      spec, [job](jobs::JobContext& context) { return job->step(context); });
}

void add_boot_pull_routes(Router& router, Services& services) {
  router.add({"POST", "/api/v1/boots/{boot}/pull", Access::operators,
              [&services](const Request& request) { return pull_boot(services, request); }});
}

}  // namespace appliance::api
