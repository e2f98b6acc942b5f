// A machine's configuration as Proxmox VE keeps it (/etc/pve/qemu-server/ID.conf), read into a
// libvirt domain, which is how points keep a machine's definition. The format is that of the manual
// page qm.conf(5); the arguments that QEMU gets for it were compared with the tests of
// proxmox/qemu-server (src/test/cfg2cmd).
//
// The file is written by whoever administers the machine, who need not be this host's root. Only
// keys and words that are known are used, all of it is bounded, and no path in it is opened. Pure
// and thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace agent::monitor {

struct PveDisk {
  std::string key;   // "scsi0", as QEMU's device and Proxmox VE call it
  std::string name;  // "sda", as the point and libvirt do: always the same for one key
};

struct PveMachine {
  std::string libvirt_xml;
  std::vector<PveDisk> disks;            // those a machine keeps its data on
  std::vector<std::string> unprotected;  // "hostpci0 (a passed-through device)"
  bool has_efi_disk = false;
  uint64_t efi_size = 0;  // bytes of the UEFI variables
  bool has_tpm = false;
};

constexpr size_t kMaxPveConfig = 512u << 10;  // bytes

// Sections after the first (snapshots, pending changes) are not read. Throws corrupt for text that
// is no such configuration, or has no disk.
PveMachine read_pve_config(std::string_view text);

}  // namespace agent::monitor
