// A running domain, captured by a pull-mode backup: QEMU keeps the disks of one instant readable
// while the guest continues, and starts a new record of changes at that very instant. The guest is
// frozen only for the moment of the switch.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "agent/capture.h"
#include "agent/libvirt/domain.h"
#include "agent/machine_lock.h"

namespace agent::libvirt {

// `lock` is the machine's; what an earlier sync left was removed. Throws busy if another program is
// making a backup of the domain, no_space if there is no room for what the guest will overwrite in
// the meantime.
std::unique_ptr<Capture> capture_running(const std::string& uri, const Domain& domain,
                                         const std::optional<BasePoint>& last, MachineLock lock,
                                         const CaptureSettings& settings);

}  // namespace agent::libvirt
