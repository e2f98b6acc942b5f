// A point's machine in the form that another hypervisor imports. Functions; thread-safe as
// restore_disk().
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "restore/machine_restore.h"

namespace restore {

enum class Hypervisor {
  libvirt,  // disks and libvirt's XML: restore_machine()
  ova,      // one file for VMware, VirtualBox, …
  hyperv,   // VHDX and a PowerShell script
  proxmox,  // qcow2 and a configuration
};
Hypervisor hypervisor_from_name(std::string_view name);  // throws invalid_argument

struct ExportOrder {
  Hypervisor hypervisor = Hypervisor::ova;
  std::string directory;  // made if it does not exist
  DiskRestore common;     // its format is not used
  uint32_t vmid = 100;    // of Proxmox VE
};

struct ExportResult {
  std::vector<std::string> paths;
  std::vector<std::string> notes;  // sentences: foreign_notes()
};

// Files that exist are refused. Each disk is compared with the point before it is published. An OVA
// needs room for its disks twice, and appears complete or not at all. Throws as restore_disk().
ExportResult export_machine(const images::Point& point, const ExportOrder& order,
                            const WriteDisk& write);

}  // namespace restore
