// A running machine on a host without libvirt, captured through QEMU's monitor socket: Proxmox VE,
// or any QEMU that has one. All its disks are tracked by bitmaps in QEMU's memory
// (agent/monitor/raw_tracking.h), whatever their format.
//
// The monitor serves one program at a time, so it is held for three short steps: beginning, ending,
// and after the commit.
#pragma once

#include <memory>
#include <optional>

#include "agent/capture.h"
#include "agent/machine_lock.h"
#include "agent/monitor/monitored_machine.h"

namespace agent::monitor {

// `lock` is the machine's. Throws not_found if no QEMU listens (the machine is switched off, which
// this cannot capture); busy if another program holds the monitor, has a job under way or uses
// QEMU's NBD server; no_space; corrupt for a definition that cannot be read.
std::unique_ptr<Capture> capture_monitored(const MonitoredMachine& machine,
                                           const std::optional<BasePoint>& last, MachineLock lock,
                                           const CaptureSettings& settings);

}  // namespace agent::monitor
