// The partitions of a disk and how Windows' boot configuration names them. Formats: MBR with its
// chain of logical partitions; GPT (UEFI specification 2.10, chapter 5). Everything read here is
// hostile input. Functions; thread-safe for different disks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "images/disk_source.h"

namespace appliance::boot {

struct PartitionIdentity {
  uint64_t offset = 0;         // bytes
  uint64_t size = 0;           // bytes; up to the next partition or the end of the disk
  bool is_ntfs = false;        // it begins as NTFS does
  bool is_efi_system = false;  // by its type
  // As in boot_configuration.h: 16 bytes of the partition and of the disk, in hex.
  std::string identity;
};

// At most 64, by their places. `sector_size` is that of its table. Throws what the disk throws.
std::vector<PartitionIdentity> partition_identities(images::DiskSource& disk, uint32_t sector_size);

}  // namespace appliance::boot
