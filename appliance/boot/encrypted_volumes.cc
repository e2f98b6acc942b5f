#include "appliance/boot/encrypted_volumes.h"

#include <fmt/format.h>

#include "images/volumes/keys/bitlocker.h"
#include "images/volumes/keys/luks.h"
#include "images/volumes/layered_disks.h"

namespace appliance::boot {

std::vector<std::string> encryption_notes(images::DiskReader& disk,
                                          const DiskInspection& inspection) {
  namespace volumes = images::volumes;
  std::vector<uint64_t> starts = inspection.partition_starts;
  if (!inspection.has_partitions) starts.push_back(0);
  bool has_luks = false, has_bitlocker = false;
  for (uint64_t start : starts) {
    if (start >= disk.size() || disk.size() - start < volumes::kSector) continue;
    volumes::LayeredDisks disks({&disk});
    volumes::Block block{"", disks.add_linear(0, start, disk.size() - start)};
    has_luks = has_luks || volumes::is_luks(disks, block);
    has_bitlocker = has_bitlocker || volumes::is_bitlocker(disks, block);
  }
  std::vector<std::string> notes;
  if (has_luks) {
    notes.push_back(
        fmt::format("A volume on its disk {} is encrypted with LUKS: unless a key is "
                    "in its start files, the start asks for a passphrase on the "
                    "console.",
                    inspection.disk_name));
  }
  if (has_bitlocker) {
    notes.push_back(
        fmt::format("A volume on its disk {} is encrypted with BitLocker: without the "
                    "content of its TPM, the start asks for the recovery key.",
                    inspection.disk_name));
  }
  return notes;
}

}  // namespace appliance::boot
