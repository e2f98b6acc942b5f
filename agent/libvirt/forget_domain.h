// Removes what syncs keep in a domain between two points: checkpoints, and their bitmaps.
// Without it 'virsh undefine' and offline snapshots of the domain are refused by libvirt.
#pragma once

#include <string>
#include <vector>

#include "agent/capture.h"
#include "agent/machine_lock.h"

namespace agent::libvirt {

// Forgets the machine of `settings` on this host: its tracking record, and the checkpoints and
// bitmaps in `domain_name`, if such a domain exists. The next sync reads in full. Returns what was
// removed, as phrases, empty if there was nothing; other programs' checkpoints stay. `lock` is the
// machine's. Throws unavailable without libvirt, and what keeps a bitmap from being removed; what
// was removed until then stays removed, and a second call continues.
std::vector<std::string> forget_domain(const std::string& uri, const std::string& domain_name,
                                       const MachineLock& lock, const CaptureSettings& settings);

}  // namespace agent::libvirt
