// Change tracking of disks that cannot hold a record of their changes (raw files, block devices,
// Ceph RBD): QEMU keeps it in memory, and it ends with QEMU.
//
// One transaction with the backup is not needed, because a map that marks too much is still right.
// The content comes from a backup job of the instant T. The new bitmaps are made before T, so they
// hold every write after T. The old ones are copied after T, so the copy holds every write between
// the last point and T. QEMU marks a write before it reports it to the guest as done, and the job
// waits for the writes under way. What is written between one of these steps and T is marked and
// did not have to be: it is read, or read again by the next sync. If the sync fails, the old bitmaps
// were never touched, and continue from the last point.
//
// Each record is two bitmaps with random names, the second of which is called the witness. They are
// used together: both must be there and record, and what either marks is read. So a bitmap that
// another program removed and made again, emptied, or switched off for a while is noticed or made up
// for; only the same done to both would not be.
//
// Used by one thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/monitor/disk_bitmaps.h"
#include "agent/monitor/monitor.h"
#include "agent/tracking.h"

namespace agent::monitor {

// A disk of the machine as QEMU knows it.
struct RawDisk {
  std::string name;  // "vda"
  std::string node;
  std::string file;
};

class RawTracking {
 public:
  // `monitor` outlives it, or is replaced by use().
  explicit RawTracking(Monitor& monitor) : monitor_(&monitor) {}
  void use(Monitor& monitor) { monitor_ = &monitor; }

  // Why the bitmaps of `record` do not tell what changed on each disk since they were made; an empty
  // text if they do. Removes bitmaps of interrupted syncs.
  std::map<std::string, std::string> examine(const std::vector<RawDisk>& disks,
                                             const std::optional<MonitorRecord>& record);

  // Before the instant: new bitmaps for every disk that was examined. Call once.
  void begin();

  // After the instant: a bitmap of what the disk's old ones mark, and its name. Throws if they are
  // gone or cannot be read.
  std::string copy_of_changes(const std::string& disk);

  const std::string& node_of(const std::string& disk) const { return disks_.at(disk).node; }
  bool empty() const { return disks_.empty(); }

  // Of the new bitmaps.
  MonitorRecord record() const { return new_; }

  // The sync succeeded, nothing exports a bitmap any more: removes all except the new ones.
  void keep_new() noexcept;

 private:
  Monitor* monitor_;
  std::map<std::string, RawDisk> disks_;
  std::optional<MonitorRecord> old_;
  MonitorRecord new_;
};

// The names in a record, for remove_bitmaps().
std::vector<std::string> bitmaps_of(const std::optional<MonitorRecord>& record);

}  // namespace agent::monitor
