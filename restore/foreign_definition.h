// Definitions of a point's machine for other hypervisors, as text: an OVF descriptor (VMware,
// VirtualBox), a PowerShell script for Hyper-V, a configuration of Proxmox VE. Names in a point are
// chosen by its host and may be anything: each function escapes them for its language. Pure
// functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "images/point.h"

namespace restore {

struct ForeignDisk {
  std::string name;        // as the point calls it: "vda"
  std::string file;        // its file's name, without a folder
  uint64_t size = 0;       // bytes of the disk
  uint64_t file_size = 0;  // bytes of the file
};

// What a person must know besides: sentences about values that the point does not have, and about
// what was changed. The same for all of them.
std::vector<std::string> foreign_notes(const images::Point& point);

// OVF 1.1, of disks in streamOptimized VMDK. Disks called hd* are on IDE, all others on SATA, for
// which every system has a driver.
std::string ovf_descriptor(const images::Point& point, const std::vector<ForeignDisk>& disks);

// Makes the machine, generation 2 for UEFI and 1 for BIOS, with the disks beside the script.
std::string hyperv_script(const images::Point& point, const std::vector<ForeignDisk>& disks);

// For /etc/pve/qemu-server/VMID.conf, with the disks on the storage "local".
std::string proxmox_config(const images::Point& point, const std::vector<ForeignDisk>& disks,
                           uint32_t vmid);

}  // namespace restore
