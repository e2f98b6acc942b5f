#include "appliance/catalog/machine_records.h"

#include <fmt/format.h>

#include "base/error.h"

namespace appliance::catalog {

void require_writable(const Machine& machine, const HostId& host) {
  if (machine.host && *machine.host != host) {
    throw base::Error(
        base::ErrorCode::unauthorized,
        fmt::format("the machine '{}' belongs to another host, '{}'; if this host takes "
                    "its place, an operator says so: muletto host replace '{}' HOST",
                    machine.name, machine.host_name, machine.host_name));
  }
  if (!machine.host && machine.point_count > 0) {
    throw base::Error(
        base::ErrorCode::unauthorized,
        fmt::format("the machine '{0}' has points but belongs to no host; an operator must assign "
                    "it: muletto machine assign '{0}' HOST",
                    machine.name));
  }
}

Machine MachineRecords::machine(const TenantName& tenant, std::string_view name) {
  if (auto machine = find_machine(tenant, name)) return *machine;
  throw base::Error(
      base::ErrorCode::not_found,
      fmt::format("there is no machine '{}'; see 'muletto machine list'", name.substr(0, 255)));
}

}  // namespace appliance::catalog
