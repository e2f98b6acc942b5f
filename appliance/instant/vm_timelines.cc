#include "appliance/instant/vm_timelines.h"

#include <fmt/format.h>

namespace appliance::instant {

std::vector<boot::InstantVm> VmTimelines::vms(const access::TenantName& tenant) {
  return boots_.timeline_holders(tenant);
}

std::optional<ingest::TimelineHolder> VmTimelines::holder(const access::TenantName& tenant,
                                                          const std::string& machine) {
  for (const boot::InstantVm& vm : vms(tenant)) {
    if (vm.machine_name != machine) continue;
    ingest::TimelineHolder holder{vm.id.hex(), host_of(tenant), vm.point, {}};
    for (const boot::VmDisk& disk : vm.disks) holder.disk_names[disk.target] = disk.name;
    return holder;
  }
  return std::nullopt;
}

std::map<std::string, catalog::HostId> VmTimelines::holders(const access::TenantName& tenant) {
  std::map<std::string, catalog::HostId> hosts;
  for (const boot::InstantVm& vm : vms(tenant)) hosts.emplace(vm.machine_name, host_of(tenant));
  return hosts;
}

std::vector<alerts::Condition> VmTimelines::conditions() {
  std::vector<alerts::Condition> found;
  for (const boot::InstantVm& vm : boots_.interrupted(access::TenantScope::all())) {
    found.push_back({alerts::kInstantVmDown, vm.tenant, vm.machine_name,
                     fmt::format("the instant VM {} of '{}' does not run: {}", vm.id.hex(),
                                 vm.machine_name, vm.problem)});
  }
  return found;
}

void VmTimelines::set_host(const access::TenantName& tenant, const catalog::HostId& host) {
  (*hosts_.lock())[tenant] = host;
}

catalog::HostId VmTimelines::host_of(const access::TenantName& tenant) {
  auto hosts = hosts_.lock();
  auto known = hosts->find(tenant);
  return known == hosts->end() ? catalog::HostId{} : known->second;
}

}  // namespace appliance::instant
