// Checks the file systems on a point's disks while its test boot runs, on a thread of its own and
// without touching the VM: the point's disks become files (disk_view.h), sfdisk and blkid determine
// what is on them; LVM, RAID and encrypted volumes are looked into (volume_look.h); each file
// system's own tool checks it (file_system_check.h), with what it needs (check_cost.h); and the
// operating system on it is named (found_system.h). All these run one after the other, confined
// (base/confinement.h), at the lowest priority. Thread-safe.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "appliance/boot/boot_service.h"
#include "appliance/verify/evidence.h"
#include "appliance/verify/volume_look.h"
#include "base/guarded.h"
#include "base/guarded_thread.h"
#include "images/ids.h"

namespace appliance::verify {

struct DiskCheckPlan {
  boot::PointSource source;  // `reader` is not used
  images::PointId point;
  std::vector<NamedDisk> disks;
  std::vector<images::volumes::VolumeKey> keys;  // of the machine's encrypted volumes
  std::string plugin_path;                       // empty: images::default_plugin_path()
};

class DiskChecker {
 public:
  explicit DiskChecker(DiskCheckPlan plan);  // starts the thread
  ~DiskChecker();                            // ends running programs, within a second

  // Since the last call, without times: signal volume for what is present, file_system for what was
  // checked, file_system_skipped for what was not, with the reason, system for what was found.
  std::vector<Observation> take();
  // Nothing more will follow. All observations are available before this becomes true.
  bool is_over() const { return over_; }

 private:
  void run(const std::stop_token& stop);
  void put(Observation seen) { seen_.lock()->push_back(std::move(seen)); }

  const DiskCheckPlan plan_;
  base::Guarded<std::vector<Observation>> seen_;
  std::atomic<bool> over_ = false;
  base::GuardedThread thread_;
};

}  // namespace appliance::verify
