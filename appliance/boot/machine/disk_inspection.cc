#include "appliance/boot/machine/disk_inspection.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "appliance/boot/machine/fat_reader.h"
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

// 21686148-6449-6E6F-744E-656564454649
constexpr Guid kBiosBoot{0x48, 0x61, 0x68, 0x21, 0x49, 0x64, 0x6f, 0x6e,
                         0x74, 0x4e, 0x65, 0x65, 0x64, 0x45, 0x46, 0x49};

bool has_file(const std::vector<FatEntry>& entries, std::string_view name) {
  return std::any_of(entries.begin(), entries.end(), [&](const FatEntry& each) {
    return !each.is_directory && is_same_fat_name(each.name, name);
  });
}

// The loaders of systems in use, in the order in which they are chosen.
constexpr std::array<std::string_view, 5> kLoaders{
    "shimx64.efi", "grubx64.efi", "systemd-bootx64.efi", "bootmgfw.efi", "refind_x64.efi"};

// Folders below EFI, and Windows' one below its own.
std::vector<std::string> loader_folders(FatReader& files) {
  std::vector<std::string> folders{"EFI/Microsoft/Boot"};
  for (const FatEntry& each : files.list("EFI")) {
    constexpr size_t kMaxFolders = 64;
    if (each.is_directory && !each.name.starts_with('.') && folders.size() < kMaxFolders)
      folders.push_back("EFI/" + each.name);
  }
  return folders;
}

void find_loaders(images::DiskReader& disk, uint64_t offset, EfiPartition& efi) {
  auto files = FatReader::open(disk, offset);
  if (!files) return;
  efi.is_readable = true;
  efi.has_default_loader = has_file(files->list("EFI/BOOT"), "BOOTX64.EFI");
  for (const std::string& folder : loader_folders(*files)) {
    std::vector<FatEntry> entries = files->list(folder);
    for (std::string_view loader : kLoaders) {
      if (!efi.loader.empty() || !has_file(entries, loader)) continue;
      efi.loader = "\\" + folder + "\\" + std::string(loader);
      std::replace(efi.loader.begin(), efi.loader.end(), '/', '\\');
    }
  }
}

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

// `at` is the entry's place in `entries`.
void note_efi_partition(images::DiskReader& disk, const base::Bytes& entries, uint64_t at,
                        uint32_t entry_size, DiskInspection& inspection) {
  inspection.has_efi_system_partition = true;
  if (inspection.efi) return;
  const uint8_t* entry = entries.data() + at;
  EfiPartition efi;
  efi.number = static_cast<uint32_t>(at / entry_size + 1);
  std::copy_n(entry + 16, efi.id.size(), efi.id.begin());
  efi.start = base::load_u64(entry + 32);
  uint64_t last = base::load_u64(entry + 40), sector_count = disk.size() / inspection.sector_size;
  if (efi.start >= sector_count || last < efi.start || last >= sector_count) return;
  efi.size = last - efi.start + 1;
  find_loaders(disk, efi.start * inspection.sector_size, efi);
  inspection.efi = efi;
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
  inspection.has_gpt = true;
  inspection.sector_size = static_cast<uint32_t>(sector_size);
  base::Bytes entries = read_at(disk, table * sector_size, uint64_t{count} * entry_size);
  for (uint64_t at = 0; at + entry_size <= entries.size(); at += entry_size) {
    Guid type;
    std::copy_n(entries.begin() + static_cast<ptrdiff_t>(at), type.size(), type.begin());
    if (type == Guid{}) continue;
    inspection.has_partitions = true;
    uint64_t start = base::load_u64(entries.data() + at + 32);
    if (start < disk.size() / sector_size)
      inspection.partition_starts.push_back(start * sector_size);
    if (type == kEfiSystem) note_efi_partition(disk, entries, at, entry_size, inspection);
    if (type == kBiosBoot) inspection.has_bios_boot_partition = true;
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

namespace {

bool has_bios_loader(const DiskInspection& inspection) {
  return inspection.has_boot_code && (!inspection.has_gpt || inspection.has_bios_boot_partition);
}

}  // namespace

images::Firmware firmware_of(const DiskInspection& inspection) {
  if (!inspection.has_efi_system_partition) return images::Firmware::bios;
  bool is_empty = inspection.efi && inspection.efi->is_readable &&
                  !inspection.efi->has_default_loader && inspection.efi->loader.empty();
  return is_empty && has_bios_loader(inspection) ? images::Firmware::bios : images::Firmware::uefi;
}

std::optional<images::Firmware> other_firmware_of(const DiskInspection& inspection) {
  if (!inspection.has_efi_system_partition || !has_bios_loader(inspection)) return std::nullopt;
  bool is_uefi = firmware_of(inspection) == images::Firmware::uefi;
  return is_uefi ? images::Firmware::bios : images::Firmware::uefi;
}

}  // namespace appliance::boot
