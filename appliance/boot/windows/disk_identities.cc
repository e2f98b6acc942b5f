#include "appliance/boot/windows/disk_identities.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"

namespace appliance::boot {
namespace {

using base::Bytes;

constexpr uint32_t kMbrSize = 512;
constexpr size_t kSignature = 440, kTable = 446, kEntry = 16;  // places in an MBR
constexpr uint8_t kEfiType = 0xef, kProtectiveType = 0xee;
constexpr size_t kMaxPartitions = 64;
constexpr uint32_t kMaxGptEntries = 256, kMaxGptEntrySize = 1024;
// C12A7328-F81F-11D2-BA4B-00A0C93EC93B
constexpr uint8_t kEfiSystem[16] = {0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11,
                                    0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b};

Bytes read_at(images::DiskSource& disk, uint64_t offset, uint64_t size) {
  if (offset > disk.size() || size > disk.size() - offset) return {};
  Bytes bytes(size);
  disk.read(offset, bytes);
  return bytes;
}

std::string identity_of(base::ByteView partition, base::ByteView disk) {
  Bytes part(partition.begin(), partition.end()), whole(disk.begin(), disk.end());
  part.resize(16);
  whole.resize(16);
  return base::to_hex(part) + "/" + base::to_hex(whole);
}

bool read_gpt(images::DiskSource& disk, uint32_t sector, std::vector<PartitionIdentity>& found) {
  Bytes header = read_at(disk, sector, kMbrSize);
  if (header.empty() || std::memcmp(header.data(), "EFI PART", 8) != 0) return false;
  uint64_t table = base::load_u64(header.data() + 72);
  uint32_t count = std::min(base::load_u32(header.data() + 80), kMaxGptEntries);
  uint32_t entry_size = base::load_u32(header.data() + 84);
  if (entry_size < 128 || entry_size > kMaxGptEntrySize || table > disk.size() / sector)
    return true;
  Bytes entries = read_at(disk, table * sector, uint64_t{count} * entry_size);
  for (size_t at = 0; at + entry_size <= entries.size(); at += entry_size) {
    base::ByteView entry = base::ByteView(entries).subspan(at, entry_size);
    uint64_t start = base::load_u64(entry.data() + 32);
    if (base::is_all_zero(entry.first(16)) || start >= disk.size() / sector) continue;
    PartitionIdentity partition;
    partition.offset = start * sector;
    partition.is_efi_system = std::memcmp(entry.data(), kEfiSystem, 16) == 0;
    partition.identity = identity_of(entry.subspan(16, 16), base::ByteView(header).subspan(56, 16));
    if (found.size() < kMaxPartitions) found.push_back(partition);
  }
  return true;
}

// The table in the sector at `at`. Logical partitions count from the sector with their table, the
// next such sector from the extended partition. `sector_count` bounds a chain that goes in a circle.
void read_mbr(images::DiskSource& disk, uint64_t at, uint64_t extended, base::ByteView signature,
              size_t& sector_count, std::vector<PartitionIdentity>& found) {
  if (++sector_count > kMaxPartitions) return;
  Bytes sector = read_at(disk, at, kMbrSize);
  if (sector.empty() || sector[510] != 0x55 || sector[511] != 0xaa) return;
  for (size_t i = 0; i < 4; ++i) {
    const uint8_t* entry = sector.data() + kTable + i * kEntry;
    uint8_t type = entry[4];
    uint64_t start = uint64_t{base::load_u32(entry + 8)} * kMbrSize;
    if (type == 0 || type == kProtectiveType || start == 0) continue;
    if (type == 0x05 || type == 0x0f || type == 0x85) {
      uint64_t next = extended + start;
      read_mbr(disk, next, extended == 0 ? next : extended, signature, sector_count, found);
      continue;
    }
    PartitionIdentity partition;
    partition.offset = at + start;
    if (partition.offset >= disk.size() || found.size() >= kMaxPartitions) continue;
    partition.is_efi_system = type == kEfiType;
    base::ByteWriter place;
    place.u64(partition.offset);
    partition.identity = identity_of(place.bytes(), signature);
    found.push_back(partition);
  }
}

}  // namespace

std::vector<PartitionIdentity> partition_identities(images::DiskSource& disk,
                                                    uint32_t sector_size) {
  std::vector<PartitionIdentity> found;
  Bytes sector = read_at(disk, 0, kMbrSize);
  if (sector.empty()) return found;
  size_t sector_count = 0;
  if (!read_gpt(disk, sector_size, found))
    read_mbr(disk, 0, 0, base::ByteView(sector).subspan(kSignature, 4), sector_count, found);
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.offset < b.offset; });
  for (size_t i = 0; i < found.size(); ++i) {
    uint64_t end = i + 1 < found.size() ? found[i + 1].offset : disk.size();
    found[i].size = end > found[i].offset ? (end - found[i].offset) / kMbrSize * kMbrSize : 0;
    Bytes first = read_at(disk, found[i].offset, kMbrSize);
    found[i].is_ntfs = !first.empty() && std::memcmp(first.data() + 3, "NTFS    ", 8) == 0;
  }
  return found;
}

}  // namespace appliance::boot
