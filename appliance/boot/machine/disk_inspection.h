// What a disk's first sectors say about the machine it came from: how its firmware boots it and
// which kind of system it contains. Used if the machine's definition does not say. Formats: MBR;
// GPT (UEFI specification 2.10, chapter 5). Everything read here is hostile input.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "images/disk_reader.h"

namespace appliance::boot {

// The EFI system partition of a disk with a GUID partition table, and what can be started from it.
struct EfiPartition {
  uint32_t number = 0;           // from 1, as the table counts
  uint64_t start = 0, size = 0;  // in sectors of the disk
  std::array<uint8_t, 16> id{};  // its GUID, in the order of the table
  bool is_readable = false;      // a FAT file system is in it
  bool has_default_loader =
      false;           // \\EFI\\BOOT\\BOOTX64.EFI: firmware starts it without a boot entry
  std::string loader;  // another one: "\\EFI\\debian\\shimx64.efi"; empty: none
};

struct DiskInspection {
  std::string disk_name{};  // in the point; set by whoever inspects several
  bool has_partitions = false;
  bool has_efi_system_partition = false;
  bool has_boot_code = false;  // the first sector is code for a BIOS
  bool has_windows = false;    // a Microsoft reserved partition, or NTFS on an active one
  // Drivers that its Windows starts and has used; set by whoever looked into its registry.
  bool has_virtio_disk = false, has_virtio_scsi = false, has_virtio_network = false;
  std::vector<uint64_t> partition_starts;  // bytes, within the disk
  uint32_t sector_size = 512;  // bytes; 4096: the table of partitions was made for these
  bool has_gpt = false;
  bool has_bios_boot_partition = false;  // GRUB's, for a BIOS that starts from a GUID table
  std::optional<EfiPartition> efi;       // of a GUID table; the first
};

// Reads at most a few hundred KiB. Throws what the reader throws; a damaged table counts as no
// table.
DiskInspection inspect_disk(images::DiskReader& disk);

// What can boot: uefi if a loader is in the EFI system partition, or if there is one that cannot be
// read; bios if it is empty and the disk has boot code for a BIOS; otherwise by the partition's
// presence.
images::Firmware firmware_of(const DiskInspection& inspection);

// The other one, if that could boot as well: boot code for a BIOS beside a loader for UEFI.
std::optional<images::Firmware> other_firmware_of(const DiskInspection& inspection);

}  // namespace appliance::boot
