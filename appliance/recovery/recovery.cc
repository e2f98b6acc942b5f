#include "appliance/recovery/recovery.h"

#include <nlohmann/json.hpp>

#include "base/json_access.h"

namespace appliance::recovery {
namespace {

using nlohmann::json;

void run_start(const Recovery& recovery, const StartOrder& order, jobs::JobContext& context) {
  auto writer = recovery.stores.writer(order.tenant);
  auto on_step = [&](std::string_view step) {
    context.log(step);
    context.set_progress({0, 0, std::string(step)});
  };
  boot::InstantVm vm = recovery.boots.start(point_source(recovery, order.tenant, *writer),
                                            order.point, order.options, on_step);
  for (const std::string& note : vm.notes) context.log(note);
  json figures{{"boot", vm.id.hex()}, {"start_duration_ms", vm.start_duration_ms}};
  context.set_figures(base::dump_text(figures));
}

}  // namespace

boot::PointSource point_source(const Recovery& recovery, const access::TenantName& tenant,
                               images::StoreWriter& writer) {
  boot::PointSource source;
  source.reader = &writer.reader();
  source.store = {recovery.stores.directory_of(tenant), recovery.stores.key_file_of(tenant), ""};
  source.tenant = tenant;
  source.damaged_points = recovery.catalog.damaged_points(tenant);
  return source;
}

jobs::JobId submit_start(const Recovery& recovery, const StartOrder& order) {
  jobs::JobSpec spec{"boot", order.tenant, order.machine_name, order.requested_by};
  StartOrder noted = order;
  noted.options.requested_by = order.requested_by.text();
  return recovery.jobs.submit(
      spec, [=](jobs::JobContext& context) { run_start(recovery, noted, context); });
}

jobs::JobId submit_stop(const Recovery& recovery, const boot::InstantVm& vm,
                        const boot::StopOptions& options, const access::Requester& requested_by) {
  jobs::JobSpec spec{"stop", vm.tenant, vm.machine_name, requested_by};
  return recovery.jobs.submit(spec, [recovery, id = vm.id, options](jobs::JobContext& context) {
    recovery.boots.stop(id, options);
    context.log(options.keep_overlay ? "stopped; its writes are kept"
                                     : "stopped; its writes are discarded");
  });
}

}  // namespace appliance::recovery
