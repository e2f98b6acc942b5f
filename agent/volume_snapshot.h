// A snapshot of an LVM volume, by LVM's own commands (lvs, lvcreate, lvremove in PATH). The kernel
// freezes the file system on the volume for the instant of the snapshot and thaws it by itself, so
// that nothing can stay frozen. Not thread-safe.
#pragma once

#include <chrono>
#include <memory>
#include <string>

namespace agent {

class VolumeSnapshot {
 public:
  // None if `path` is not an LVM volume, or LVM is not installed. `prefix` begins the snapshot's
  // name. Throws io with LVM's message if the snapshot cannot be made, for example if the group has
  // no free space.
  static std::unique_ptr<VolumeSnapshot> of(const std::string& path, const std::string& prefix);
  // Removes it; a failure is logged.
  ~VolumeSnapshot();
  VolumeSnapshot(const VolumeSnapshot&) = delete;
  VolumeSnapshot& operator=(const VolumeSnapshot&) = delete;

  const std::string& path() const { return path_; }  // the device to read
  // Throws no_space when its room for overwritten blocks is nearly used up: LVM then drops the
  // snapshot, and the volume keeps working. Asks LVM every two seconds at most.
  void check();

 private:
  VolumeSnapshot(std::string group, std::string name);

  std::string group_;
  std::string name_;
  std::string path_;
  std::chrono::steady_clock::time_point next_look_;
};

// Removes snapshots whose names begin with `prefix`: those of a killed sync. Failures are logged.
void remove_abandoned_snapshots(const std::string& prefix) noexcept;

}  // namespace agent
