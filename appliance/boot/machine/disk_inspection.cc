#include "appliance/boot/machine/disk_inspection.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/bytes.h"

namespace appliance::boot {
namespace {

constexpr uint32_t kMbrSize = 512;
constexpr size_t kMbrTable = 446;
constexpr size_t kMbrEntrySize = 16;
constexpr uint8_t kMbrTypeProtective = 0xee;
constexpr uint8_t kMbrTypeEfi = 0xef;
constexpr uint8_t kMbrTypeNtfs = 0x07;
constexpr uint8_t kMbrActive = 0x80;
constexpr uint32_t kGptEntryLimit = 256;       // the usual table has 128
constexpr uint32_t kGptEntrySizeLimit = 1024;  // the usual entry has 128 bytes

using Guid = std::array<uint8_t, 16>;
// C12A7328-F81F-11D2-BA4B-00A0C93EC93B
constexpr Guid kEfiSystem{0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11,
                          0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b};
// E3C9E316-0B5C-4DB8-817D-F92DF00215AE
constexpr Guid kMicrosoftReserved{0x16, 0xe3, 0xc9, 0xe3, 0x5c, 0x0b, 0xb8, 0x4d,
                                  0x81, 0x7d, 0xf9, 0x2d, 0xf0, 0x02, 0x15, 0xae};

base::Bytes read_at(images::DiskReader& disk, uint64_t offset, uint64_t size) {
  if (offset > disk.size() || size > disk.size() - offset) return {};
  base::Bytes bytes(size);
  disk.read(offset, bytes);
  return bytes;
}

bool starts_ntfs(images::DiskReader& disk, uint64_t offset) {
  base::Bytes sector = read_at(disk, offset, kMbrSize);
  return sector.size() == kMbrSize && base::as_text(sector).substr(3, 8) == "NTFS    ";
}

// The GUID partition table whose header is in sector 1; false if there is none.
bool inspect_gpt(images::DiskReader& disk, uint64_t sector_size, DiskInspection& inspection) {
  base::Bytes header = read_at(disk, sector_size, kMbrSize);
  if (header.empty() || base::as_text(header).substr(0, 8) != "EFI PART") return false;
  uint64_t table = base::load_u64(header.data() + 72);
  uint32_t count = std::min(base::load_u32(header.data() + 80), kGptEntryLimit);
  uint32_t entry_size = base::load_u32(header.data() + 84);
  if (entry_size < 128 || entry_size > kGptEntrySizeLimit) return false;
  if (table == 0 || table > disk.size() / sector_size) return false;
  base::Bytes entries = read_at(disk, table * sector_size, uint64_t{count} * entry_size);
  for (uint64_t at = 0; at + entry_size <= entries.size(); at += entry_size) {
    Guid type;
    std::copy_n(entries.begin() + static_cast<ptrdiff_t>(at), type.size(), type.begin());
    if (type == Guid{}) continue;
    inspection.has_partitions = true;
    uint64_t start = base::load_u64(entries.data() + at + 32);
    if (start < disk.size() / sector_size)
      inspection.partition_starts.push_back(start * sector_size);
    if (type == kEfiSystem) inspection.has_efi_system_partition = true;
    if (type == kMicrosoftReserved) inspection.has_windows = true;
  }
  return true;
}

void inspect_mbr(images::DiskReader& disk, const base::Bytes& sector, DiskInspection& inspection) {
  for (size_t i = 0; i < 4; ++i) {
    const uint8_t* entry = sector.data() + kMbrTable + i * kMbrEntrySize;
    uint8_t type = entry[4];
    if (type == 0 || type == kMbrTypeProtective) continue;
    inspection.has_partitions = true;
    if (type == kMbrTypeEfi) inspection.has_efi_system_partition = true;
    uint64_t start = uint64_t{base::load_u32(entry + 8)} * kMbrSize;
    if (start < disk.size()) inspection.partition_starts.push_back(start);
    if (type == kMbrTypeNtfs && entry[0] == kMbrActive && starts_ntfs(disk, start))
      inspection.has_windows = true;
  }
}

}  // namespace

DiskInspection inspect_disk(images::DiskReader& disk) {
  DiskInspection inspection;
  base::Bytes sector = read_at(disk, 0, kMbrSize);
  if (sector.empty()) return inspection;
  inspection.has_boot_code = sector[510] == 0x55 && sector[511] == 0xaa &&
                             !base::is_all_zero(base::ByteView(sector).first(kMbrTable));
  if (inspect_gpt(disk, 512, inspection) || inspect_gpt(disk, 4096, inspection)) return inspection;
  if (sector[510] == 0x55 && sector[511] == 0xaa) inspect_mbr(disk, sector, inspection);
  return inspection;
}

images::Firmware firmware_of(const DiskInspection& inspection) {
  return inspection.has_efi_system_partition ? images::Firmware::uefi : images::Firmware::bios;
}

}  // namespace appliance::boot
