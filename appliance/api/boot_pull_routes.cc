// Moving an instant VM onto local storage, as a job.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "appliance/api/body_fields.h"
#include "appliance/api/routes.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::api {
namespace {

constexpr uint64_t kMaxBandwidth = 1ull << 40;  // bytes per second

void run_pull(Services& services, const boot::InstantVm& vm, uint64_t bandwidth,
              jobs::JobContext& context) {
  boot::PullOptions options;
  options.bandwidth = bandwidth;
  options.on_progress = [&](const boot::PullProgress& progress) {
    context.throw_if_stopped();
    context.set_progress({progress.done, progress.total,
                          fmt::format("moving {} onto local storage", vm.machine_name)});
  };
  options.keep_copying = [&] { return context.daemon_ends(); };
  uint64_t begin_ms = base::now_ms();
  services.boots.pull(vm.id, options);
  context.log("it needs neither the store nor its point any more");
  nlohmann::json figures{{"boot", vm.id.hex()}, {"duration_ms", base::now_ms() - begin_ms}};
  context.set_figures(figures.dump());
}

Response pull_boot(Services& services, const Request& request) {
  BodyFields body(request.body);
  uint64_t bandwidth = body.natural("bandwidth", 1, kMaxBandwidth).value_or(0);
  body.expect_no_more();
  boot::InstantVm vm = services.boots.get(services.boots.find(request.path_value("boot")));
  return accepted(services, submit_pull(services, vm, bandwidth));
}

}  // namespace

jobs::JobId submit_pull(Services& services, const boot::InstantVm& vm, uint64_t bandwidth) {
  jobs::JobSpec spec{"pull", std::string(catalog::kDefaultTenant), vm.machine_name};
  return services.jobs.submit(spec, [&services, vm, bandwidth](jobs::JobContext& context) {
    run_pull(services, vm, bandwidth, context);
  });
}

void add_boot_pull_routes(Router& router, Services& services) {
  router.add({"POST", "/api/v1/boots/{boot}/pull", Access::operators,
              [&services](const Request& request) { return pull_boot(services, request); }});
}

}  // namespace appliance::api
