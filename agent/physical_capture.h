// The server the agent itself runs on, or any block devices of it. LVM volumes are read from a
// snapshot; other devices as they are while the machine goes on, which the point's note says. Read
// in full and compared by hash.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/capture.h"
#include "agent/image_capture.h"
#include "agent/machine_lock.h"

namespace agent {

// `disks` empty: every fixed disk. `root`: agent/physical_definition.h. `lock` is of the machine.
// Throws not_found if there is no disk, and what a snapshot or a disk throws.
std::unique_ptr<Capture> capture_physical(std::vector<ImageDisk> disks, const std::string& root,
                                          MachineLock lock, const CaptureSettings& settings);

}  // namespace agent
