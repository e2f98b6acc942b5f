// What the ingest and the scheduler ask about machines that run as instant VMs: one machine, one
// truth. While an instant VM holds a machine's timeline, only its syncs are added to it.
// Implementations are thread-safe and answer at once, from what is on disk.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "appliance/catalog/records.h"
#include "images/ids.h"

namespace appliance::ingest {

struct TimelineHolder {
  std::string boot;  // the instant VM's id
  // The host that syncs it: the appliance itself; zero until it has such a host.
  catalog::HostId host{};
  images::PointId point;                          // that it was booted from
  std::map<std::string, std::string> disk_names;  // the VM's disk: its name in the point
};

class Timelines {
 public:
  virtual ~Timelines() = default;

  virtual std::optional<TimelineHolder> holder(const catalog::TenantName& tenant,
                                               const std::string& machine) = 0;
  // For all machines of the tenant that have a holder: the host that syncs it.
  virtual std::map<std::string, catalog::HostId> holders(const catalog::TenantName& tenant) = 0;
};

}  // namespace appliance::ingest
