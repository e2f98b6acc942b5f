// What a disk's first sectors say about the machine it came from: how its firmware boots it and
// which kind of system it contains. Used if the machine's definition does not say. Formats: MBR;
// GPT (UEFI specification 2.10, chapter 5). Everything read here is hostile input.
#pragma once

#include <cstdint>
#include <vector>

#include "images/disk_reader.h"

namespace appliance::boot {

struct DiskInspection {
  bool has_partitions = false;
  bool has_efi_system_partition = false;
  bool has_boot_code = false;  // the first sector is code for a BIOS
  bool has_windows = false;    // a Microsoft reserved partition, or NTFS on an active one
  std::vector<uint64_t> partition_starts;  // bytes, within the disk
};

// Reads at most a few hundred KiB. Throws what the reader throws; a damaged table counts as no
// table.
DiskInspection inspect_disk(images::DiskReader& disk);

// uefi if there is an EFI system partition, otherwise bios.
images::Firmware firmware_of(const DiskInspection& inspection);

}  // namespace appliance::boot
