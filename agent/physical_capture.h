// The server the agent itself runs on, or any block devices of it. LVM volumes are read from a
// snapshot; other devices are read while the machine keeps running, and the point's note says so.
// Read in full and compared by hash.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/capture.h"
#include "agent/image_capture.h"
#include "agent/machine_lock.h"

namespace agent {

// `disks` empty: every fixed disk. `root`: agent/physical_definition.h. `lock` is the machine's.
// Throws not_found if there is no disk, and whatever a snapshot or a disk throws.
std::unique_ptr<Capture> capture_physical(std::vector<ImageDisk> disks, const std::string& root,
                                          MachineLock lock, const CaptureSettings& settings);

}  // namespace agent
