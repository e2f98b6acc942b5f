// Boot entries of UEFI. A physical computer keeps in its own flash memory which loader of which
// partition it starts; an instant VM of it has new variables, and its firmware would only find a
// loader under the default name. Format: UEFI specification 2.10, chapters 3.1 and 10; the variables
// as EDK II keeps them (MdeModulePkg, VariableFormat.h). Pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/bytes.h"

namespace appliance::boot {

struct UefiBootEntry {
  std::string description;  // ASCII
  std::string loader;       // within the partition, "\\EFI\\debian\\shimx64.efi"; ASCII
  uint32_t partition_number = 1;
  uint64_t partition_start = 0, partition_size = 0;  // in sectors of the disk
  std::array<uint8_t, 16> partition_id{};            // its GUID, in the order of the table
};

// `variables` is the content of a flash chip that has no boot entries yet, such as the template of a
// firmware package; returns it with this entry, which is started first. Throws unsupported if the
// content has another layout, or no room.
base::Bytes with_boot_entry(base::Bytes variables, const UefiBootEntry& entry);

}  // namespace appliance::boot
