// A machine's configuration as Proxmox VE keeps it (/etc/pve/qemu-server/ID.conf) and puts it into
// its backups. A pure function; the text is a stranger's.
#pragma once

#include <string>
#include <string_view>

#include "images/imports/foreign_machine.h"

namespace images {

// Each disk's `file` is its device's name in a backup: "drive-scsi0". `efi_device` and
// `tpm_device`: those of the UEFI variables and the TPM's state, if it has them. Throws corrupt.
struct ProxmoxMachine {
  ForeignMachine machine;
  std::string efi_device;
  std::string tpm_device;
};
ProxmoxMachine read_proxmox_config(std::string_view text, const std::string& path);

}  // namespace images
