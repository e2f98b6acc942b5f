// A domain that is shut off, captured from its image files. Reading does not prevent it from being
// started; if it is started meanwhile, the sync fails and nothing is saved.
//
// Its qcow2 images still hold the bitmap of the last running point's checkpoint, so the sync may be
// incremental, relative to that point. A new checkpoint cannot be made; the old one stays in use,
// and later syncs are relative to the same point again (agent/tracking.h, TrackingRecord).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/capture.h"
#include "agent/domain_xml.h"
#include "agent/machine_lock.h"

namespace agent {

struct StoppedDomain {
  std::string uuid;
  std::string inactive_xml;
  std::vector<std::string> checkpoint_disks;  // of the record's checkpoint, as reported by libvirt
  bool checkpoint_exists = false;
  // Why its disks may be as after a power cut, as a clause ("it was forced off"); empty: its guest
  // shut itself down.
  std::string unclean_stop;
  std::map<std::string, std::string> volume_paths;  // disk: path, of disks that are volumes
  std::string name;
  std::function<bool()> is_running;  // called during the sync
};

// `lock` is the machine's.
std::unique_ptr<Capture> capture_stopped(const StoppedDomain& domain,
                                         const std::optional<BasePoint>& last, MachineLock lock,
                                         const CaptureSettings& settings);

}  // namespace agent
