// Which points instant VMs and test boots need, from the records of their boots alone: libvirt need
// not answer. Reads files; thread-safe.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "images/ids.h"

namespace appliance::boot {

struct PointUses {
  // Sentences that say what needs the point, and what to do about it.
  std::map<images::PointId, std::string> by_point;
  // Sentences: records and folders that cannot be read, so that it is unknown what they need.
  // Unless this is empty, any point may be in use.
  std::vector<std::string> unreadable;
};

// For the boots in STATE/vms and the test boots in STATE/verify/N/vms. A VM that was moved to local
// storage needs no point. Never throws.
PointUses point_uses(const std::string& state_directory);

}  // namespace appliance::boot
