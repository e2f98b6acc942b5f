// Snapshots of ZFS volumes (zvols), which are block devices; a ZFS file system is none. Contract:
// volume_snapshot.h.
#pragma once

#include <memory>
#include <string>

#include "agent/volume_snapshot.h"

namespace agent {

std::unique_ptr<VolumeSnapshot> zfs_snapshot_of(const std::string& path, const std::string& prefix);
void remove_abandoned_zfs_snapshots(const std::string& prefix);

}  // namespace agent
