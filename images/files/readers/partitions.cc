#include "images/files/readers/partitions.h"

#include <algorithm>

#include "images/files/readers/file_runs.h"

namespace images::files {
namespace {

using base::Bytes;
using base::ByteView;

constexpr size_t kMaxPartitions = 256;
constexpr uint64_t kSector = 512;

uint16_t u16(ByteView bytes, size_t at) {
  return static_cast<uint16_t>(bytes[at] | bytes[at + 1] << 8);
}
uint32_t u32(ByteView bytes, size_t at) { return base::load_u32(bytes.data() + at); }
uint64_t u64(ByteView bytes, size_t at) { return base::load_u64(bytes.data() + at); }

bool has_room(DiskSource& disk, uint64_t offset, uint64_t size) {
  return offset <= disk.size() && size <= disk.size() - offset;
}

void add(std::vector<Partition>& to, DiskSource& disk, uint32_t number, uint64_t first,
         uint64_t count, uint64_t unit) {
  if (count == 0 || to.size() >= kMaxPartitions || first > disk.size() / unit) return;
  uint64_t offset = first * unit;
  if (offset >= disk.size()) return;
  // A disk may have been cut: what is there can be looked at.
  uint64_t size = std::min(count, (disk.size() - offset) / unit) * unit;
  if (size > 0) to.push_back({number, offset, size});
}

// By the table at `place`, whose sectors have `unit` bytes. False if there is none.
bool add_guid_table(DiskSource& disk, uint64_t place, uint64_t unit, std::vector<Partition>& to) {
  if (!has_room(disk, place, kSector)) return false;
  Bytes head = read_bytes(disk, place, kSector, "the table of partitions");
  if (base::as_text(head).substr(0, 8) != "EFI PART") return false;
  uint64_t entries = u64(head, 72);
  uint64_t count = std::min<uint64_t>(u32(head, 80), kMaxPartitions), size = u32(head, 84);
  if (size < 128 || size > 4096 || entries > disk.size() / unit ||
      !has_room(disk, entries * unit, count * size))
    return false;
  Bytes table = read_bytes(disk, entries * unit, count * size, "the table of partitions");
  for (uint64_t i = 0; i < count; ++i) {
    ByteView entry = ByteView(table).subspan(i * size, size);
    if (base::is_all_zero(entry.first(16))) continue;
    uint64_t first = u64(entry, 32), last = u64(entry, 40);
    if (first == 0 || last < first) continue;
    add(to, disk, static_cast<uint32_t>(i + 1), first, last - first + 1, unit);
  }
  return true;
}

bool is_extended(uint8_t type) { return type == 0x05 || type == 0x0f || type == 0x85; }

// Partitions from 5 on, in a chain of tables.
void add_logical(DiskSource& disk, uint64_t extended, std::vector<Partition>& to) {
  uint64_t at = extended;
  for (uint32_t number = 5; number < 5 + 128; ++number) {
    if (!has_room(disk, at * kSector, kSector)) return;
    Bytes sector = read_bytes(disk, at * kSector, kSector, "the table of partitions");
    if (u16(sector, 510) != 0xaa55) return;
    ByteView first = ByteView(sector).subspan(446, 16), second = ByteView(sector).subspan(462, 16);
    if (first[4] != 0) add(to, disk, number, at + u32(first, 8), u32(first, 12), kSector);
    if (!is_extended(second[4]) || u32(second, 8) == 0) return;
    at = extended + u32(second, 8);
  }
}

// A file system's boot sector has the same mark as a table, and other bytes in its place.
bool is_boot_sector(ByteView sector) {
  std::string_view text = base::as_text(sector);
  return text.substr(3, 8) == "NTFS    " || text.substr(3, 8) == "EXFAT   " ||
         text.substr(54, 3) == "FAT" || text.substr(82, 3) == "FAT" ||
         text.substr(3, 8) == "-FVE-FS-";
}

}  // namespace

std::vector<Partition> partitions_of(DiskSource& disk) {
  std::vector<Partition> found;
  if (disk.size() < 2 * kSector) return found;
  for (uint64_t unit : {uint64_t{512}, uint64_t{4096}}) {
    if (add_guid_table(disk, unit, unit, found)) return found;
  }
  Bytes sector = read_bytes(disk, 0, kSector, "the table of partitions");
  if (u16(sector, 510) != 0xaa55 || is_boot_sector(sector)) return found;
  std::vector<uint64_t> extended;
  bool is_guid = false;
  for (uint32_t i = 0; i < 4; ++i) {
    ByteView entry = ByteView(sector).subspan(446 + 16 * i, 16);
    if ((entry[0] & 0x7f) != 0) return {};  // not a table
    if (entry[4] == 0) continue;
    is_guid = is_guid || entry[4] == 0xee;
    if (is_extended(entry[4])) extended.push_back(u32(entry, 8));
    else add(found, disk, i + 1, u32(entry, 8), u32(entry, 12), kSector);
  }
  if (is_guid) {
    // The first table is damaged: there is a second one in the last sector.
    std::vector<Partition> second;
    for (uint64_t unit : {uint64_t{512}, uint64_t{4096}}) {
      if (disk.size() % unit == 0 && add_guid_table(disk, disk.size() - unit, unit, second))
        return second;
    }
  }
  for (uint64_t each : extended) add_logical(disk, each, found);
  return found;
}

}  // namespace images::files
