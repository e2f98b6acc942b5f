#include "appliance/boot/machine/disk_check.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/error.h"

namespace appliance::boot {
namespace {

constexpr uint64_t kBootArea = 1 << 20;        // partition table, boot loader of a BIOS
constexpr uint64_t kPartitionStart = 1 << 16;  // boot sector, superblock
constexpr uint64_t kSector = 512;
constexpr uint64_t kSampleCount = 16;

void read_part(images::DiskReader& disk, uint64_t offset, uint64_t size) {
  if (offset >= disk.size()) return;
  base::Bytes bytes(std::min(size, disk.size() - offset));
  disk.read(offset, bytes);
}

}  // namespace

std::optional<std::string> damage_where_boot_begins(images::DiskReader& disk,
                                                    const DiskInspection& inspection) {
  try {
    read_part(disk, 0, kBootArea);
    for (uint64_t start : inspection.partition_starts) read_part(disk, start, kPartitionStart);
    if (disk.size() >= kSector) read_part(disk, disk.size() - kSector, kSector);
    for (uint64_t i = 0; i < kSampleCount; ++i) {
      uint64_t offset = disk.size() / kSampleCount * i / kSector * kSector;
      if (offset < disk.size()) disk.extents(offset, std::min(kSector, disk.size() - offset));
    }
  } catch (const base::Error& error) {
    if (error.code() != base::ErrorCode::corrupt) throw;
    return error.message();
  }
  return std::nullopt;
}

}  // namespace appliance::boot
