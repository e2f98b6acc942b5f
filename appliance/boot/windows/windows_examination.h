// What the Windows of a point would need on the hardware that it gets, and whether its boot
// configuration leads to a loader: looked at before anything of the VM exists, nothing is written.
// What is read is hostile and is parsed by muletto-windows without rights. Functions; thread-safe.
#pragma once

#include <string>
#include <vector>

#include "appliance/boot/windows/disk_identities.h"
#include "base/bytes.h"

namespace appliance::boot {

struct WindowsFindings {
  bool has_windows = false;  // a registry was read
  bool has_virtio_disk = false, has_virtio_scsi = false, has_virtio_network = false;
  std::vector<std::string> changes;    // sentences: what preparing would change
  std::vector<std::string> obstacles;  // sentences: why it would not be prepared
  std::vector<std::string> notes;      // sentences: what else is to be known
};

// One disk of a point, on which Windows or its boot configuration may be.
struct WindowsDisk {
  std::string name;  // of the export
  std::vector<PartitionIdentity> partitions;
  bool has_efi_files = false;      // an EFI system partition could be read
  bool has_boot_manager = false;   // it has Windows' boot manager
  base::Bytes boot_configuration;  // of that partition; empty: it has none
};

// `socket_path` is where an NBD server exports the disks. Never throws: a failure is an obstacle.
WindowsFindings examine_windows(const std::vector<WindowsDisk>& disks,
                                const std::string& socket_path, bool is_uefi);

}  // namespace appliance::boot
