// Whether the boot configuration of a Windows (BCD, itself a registry hive) leads to a loader that
// is there: the boot manager's default entry, the devices it names, and its loader's path. Only for
// muletto-windows, which runs confined. Layout of device elements: as bcdedit writes them since
// Windows Vista. Functions; thread-safe for different scratch paths.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace appliance::boot::windows {

struct KnownSystem {
  bool is_uefi = false;
  // Whether there is this partition: 16 bytes of the partition (its GUID, or its offset in bytes and
  // zeros) and of the disk (its GUID, or its signature and zeros), in hex, with a '/' between them.
  std::function<bool(const std::string& identity)> has_partition;
  // Whether the file ("Windows/System32/winload.efi") is on a partition that was looked into; the
  // identity is empty for "where the boot manager is". True as well if it was not looked into.
  std::function<bool(const std::string& identity, const std::string& path)> has_file;
};

inline constexpr size_t kMaxBootConfiguration = 4 << 20;  // bytes

// Clauses that say what is wrong, for a person: "its default entry ... "; none: nothing was found
// wrong. Throws corrupt for what is not a hive.
std::vector<std::string> troubles_of_boot(base::ByteView configuration,
                                          const std::string& scratch_path,
                                          const KnownSystem& system);

}  // namespace appliance::boot::windows
