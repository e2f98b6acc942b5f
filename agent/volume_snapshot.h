// A block device as it was at one instant, by the volume manager that it belongs to: LVM (thick and
// thin volumes) or ZFS (volumes, not file systems). Their own commands are used (lvs, lvcreate,
// lvremove; zfs), found in PATH. The kernel freezes a mounted file system on the volume for the
// instant of the snapshot and thaws it by itself, so that nothing can stay frozen. Not thread-safe.
//
// The snapshots of Btrfs and of ZFS file systems are trees of files, not images of a disk, and are not
// used: docs/capture.md says why.
#pragma once

#include <memory>
#include <string>

namespace agent {

class VolumeSnapshot {
 public:
  // None if `path` is not a volume that can be snapshotted, or its manager is not installed. `prefix`
  // begins the snapshot's name. Throws io with the manager's message if the snapshot cannot be made,
  // for example if the group has no free space.
  static std::unique_ptr<VolumeSnapshot> of(const std::string& path, const std::string& prefix);

  virtual ~VolumeSnapshot() = default;  // removes it; a failure is logged
  VolumeSnapshot(const VolumeSnapshot&) = delete;
  VolumeSnapshot& operator=(const VolumeSnapshot&) = delete;

  virtual const std::string& path() const = 0;  // the device to read
  // Throws no_space when its room for overwritten blocks is nearly used up. Asks every two seconds at
  // most.
  virtual void check() = 0;

 protected:
  VolumeSnapshot() = default;
};

// Removes snapshots whose names begin with `prefix`: those of a killed sync. Failures are logged.
void remove_abandoned_snapshots(const std::string& prefix) noexcept;

}  // namespace agent
