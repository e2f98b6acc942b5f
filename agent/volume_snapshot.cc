#include "agent/volume_snapshot.h"

#include "agent/lvm_snapshot.h"
#include "agent/zfs_snapshot.h"
#include "base/error.h"
#include "base/log.h"

namespace agent {

std::unique_ptr<VolumeSnapshot> VolumeSnapshot::of(const std::string& path,
                                                   const std::string& prefix) {
  if (auto snapshot = lvm_snapshot_of(path, prefix)) return snapshot;
  return zfs_snapshot_of(path, prefix);
}

void remove_abandoned_snapshots(const std::string& prefix) noexcept {
  for (auto* forget : {remove_abandoned_lvm_snapshots, remove_abandoned_zfs_snapshots}) {
    try {
      forget(prefix);
    } catch (const base::Error& error) {
      base::log().warn("{}", error.message());
    }
  }
}

}  // namespace agent
