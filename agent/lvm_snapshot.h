// Snapshots of LVM volumes, thick and thin. Contract: volume_snapshot.h.
#pragma once

#include <memory>
#include <string>

#include "agent/volume_snapshot.h"

namespace agent {

std::unique_ptr<VolumeSnapshot> lvm_snapshot_of(const std::string& path, const std::string& prefix);
void remove_abandoned_lvm_snapshots(const std::string& prefix);

}  // namespace agent
