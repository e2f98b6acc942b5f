// What a machine is that only its QEMU's monitor is known of: which of QEMU's devices are its disks,
// by which names, and its definition. Functions throw as Monitor::execute().
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/monitor/disk_bitmaps.h"
#include "agent/monitor/monitor.h"
#include "images/point.h"

namespace agent::monitor {

struct MonitoredDisk {
  std::string name;  // in the point
  Device device;
};

struct MonitoredFacts {
  std::vector<MonitoredDisk> disks;
  images::MachineDefinition definition;  // without state files
  std::optional<Device> variables;       // UEFI's
  uint64_t variables_size = 0;           // bytes of it that count; 0: all
  bool has_tpm = false;
  std::vector<std::string> unprotected;  // what is not in the point, for its note
};

// `definition_path` is a file with Proxmox VE's configuration or a libvirt domain; empty: CPUs,
// memory and disks are as QEMU tells, and the appliance chooses the rest. Throws corrupt, and
// not_found for a disk of the definition that QEMU does not have: a disk X of it is the device with
// the id X, or whose drive or node is called X or drive-X.
MonitoredFacts read_facts(Monitor& monitor, const std::string& definition_path);

}  // namespace agent::monitor
