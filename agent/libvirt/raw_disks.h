// The raw disks of a running domain, tracked through QEMU's monitor beside libvirt's backup, which
// cannot track them (agent/monitor/raw_tracking.h). libvirt's backup holds all disks at one
// instant, raw ones too; this tells only what changed in them. Used by one thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/domain_xml.h"
#include "agent/libvirt/domain.h"
#include "agent/libvirt/domain_monitor.h"
#include "agent/libvirt/leftovers.h"
#include "agent/monitor/raw_tracking.h"
#include "images/disk_source.h"

namespace agent::libvirt {

class RawDisks {
 public:
  RawDisks(const Domain& domain, const SyncPlace& place);

  // Finds the disks in QEMU and examines the bitmaps of `record`. Failures cost full reads, not the
  // sync: they become the problem() of each disk. Asks the monitor nothing if there is no raw disk.
  void examine(const std::vector<DomainDisk>& disks, const std::optional<MonitorRecord>& record);
  // Why a raw disk cannot be tracked; empty if it can, or is not raw.
  std::string problem(const std::string& disk) const;
  bool tracks(const std::string& disk) const { return obstacles_.contains(disk); }
  // TrackingEvidence::monitor_obstacles
  const std::map<std::string, std::string>& obstacles() const { return obstacles_; }

  // Before the backup: the new bitmaps. If QEMU refuses them, which is logged, record() is none and
  // the next sync reads in full.
  void begin() noexcept;
  // While libvirt's backup serves at `socket_path`: what changed of a tracked disk since the record.
  std::unique_ptr<images::DiskSource> map_of(const std::string& disk,
                                             const std::string& socket_path);
  // Of the new bitmaps; none if no disk is tracked.
  std::optional<MonitorRecord> record() const;
  // The record is saved: all other bitmaps are removed.
  void keep_new() noexcept;

 private:
  void locate(const std::vector<DomainDisk>& disks, std::vector<monitor::RawDisk>& located);

  SyncPlace place_;
  DomainMonitor monitor_;
  monitor::RawTracking tracking_;
  bool begun_ = false;                            // the new bitmaps are there
  std::map<std::string, std::string> obstacles_;  // of disks that can be tracked
  std::map<std::string, std::string> problems_;   // of those that cannot
};

}  // namespace agent::libvirt
