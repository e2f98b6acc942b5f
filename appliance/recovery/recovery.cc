#include "appliance/recovery/recovery.h"

#include <nlohmann/json.hpp>

#include "base/json_access.h"

namespace appliance::recovery {
namespace {

using nlohmann::json;

void run_start(const Recovery& recovery, const std::string& tenant, const images::PointId& point,
               const boot::BootOptions& options, jobs::JobContext& context) {
  auto writer = recovery.stores.writer(tenant);
  auto on_step = [&](std::string_view step) {
    context.log(step);
    context.set_progress({0, 0, std::string(step)});
  };
  boot::InstantVm vm =
      recovery.boots.start(point_source(recovery, tenant, *writer), point, options, on_step);
  for (const std::string& note : vm.notes) context.log(note);
  json figures{{"boot", vm.id.hex()}, {"start_duration_ms", vm.start_duration_ms}};
  context.set_figures(base::dump_text(figures));
}

}  // namespace

boot::PointSource point_source(const Recovery& recovery, const std::string& tenant,
                               images::StoreWriter& writer) {
  boot::PointSource source;
  source.reader = &writer.reader();
  source.store = {recovery.stores.directory_of(tenant), recovery.stores.key_file_of(tenant), ""};
  source.tenant = tenant;
  source.damaged_points = recovery.catalog.damaged_points(tenant);
  return source;
}

std::string tenant_of(const Recovery& recovery, const boot::InstantVm& vm) {
  for (const catalog::Tenant& tenant : recovery.catalog.tenants()) {
    if (recovery.stores.directory_of(tenant.name) == vm.store.location) return tenant.name;
  }
  return std::string(catalog::kDefaultTenant);
}

jobs::JobId submit_start(const Recovery& recovery, const std::string& tenant,
                         const images::PointId& point, const std::string& machine_name,
                         const boot::BootOptions& options) {
  jobs::JobSpec spec{"boot", tenant, machine_name};
  return recovery.jobs.submit(spec, [=](jobs::JobContext& context) {
    run_start(recovery, tenant, point, options, context);
  });
}

jobs::JobId submit_stop(const Recovery& recovery, const boot::InstantVm& vm,
                        const boot::StopOptions& options) {
  jobs::JobSpec spec{"stop", tenant_of(recovery, vm), vm.machine_name};
  return recovery.jobs.submit(spec, [recovery, id = vm.id, options](jobs::JobContext& context) {
    recovery.boots.stop(id, options);
    context.log(options.keep_overlay ? "stopped; its writes are kept"
                                     : "stopped; its writes are discarded");
  });
}

}  // namespace appliance::recovery
