#include "appliance/boot/machine/fat_reader.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/bytes.h"
#include "base/text.h"

namespace appliance::boot {
namespace {

constexpr uint64_t kHeaderSize = 512;
constexpr size_t kEntrySize = 32;
constexpr uint64_t kMaxClusterSize = 64 << 10;
constexpr size_t kMaxClusters = 256;  // of one folder
constexpr size_t kMaxDepth = 8;
constexpr uint8_t kLongName = 0x0f, kVolumeLabel = 0x08, kDirectory = 0x10, kDeleted = 0xe5;
constexpr size_t kMaxLongName = 255;

uint16_t u16(const uint8_t* at) { return static_cast<uint16_t>(at[0] | at[1] << 8); }

char printable_of(uint16_t unit) {
  return unit >= 0x20 && unit < 0x7f ? static_cast<char>(unit) : '?';
}

std::string short_name(const uint8_t* entry) {
  std::string name, ending;
  for (size_t i = 0; i < 8; ++i) name += printable_of(entry[i]);
  for (size_t i = 8; i < 11; ++i) ending += printable_of(entry[i]);
  // Two bits say that a part is meant in lower case.
  auto lower = [](std::string& text) {
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  };
  if ((entry[12] & 0x08) != 0) lower(name);
  if ((entry[12] & 0x10) != 0) lower(ending);
  name = base::trim(name);
  ending = base::trim(ending);
  return ending.empty() ? name : name + "." + ending;
}

// The part of a long name that one entry holds: 13 characters, or fewer up to a 0.
std::string long_name_part(const uint8_t* entry) {
  constexpr std::array<size_t, 13> kPlaces{1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30};
  std::string part;
  for (size_t place : kPlaces) {
    uint16_t unit = u16(entry + place);
    if (unit == 0 || unit == 0xffff) break;
    part += printable_of(unit);
  }
  return part;
}

// Collects entries from the bytes of a folder; false once the folder ends.
class EntryCollector {
 public:
  bool take(base::ByteView bytes, std::vector<FatEntry>& entries) {
    for (size_t at = 0; at + kEntrySize <= bytes.size(); at += kEntrySize) {
      const uint8_t* entry = bytes.data() + at;
      if (entry[0] == 0 || entries.size() >= FatReader::kMaxEntries) return false;
      if (entry[0] == kDeleted) {
        long_name_.clear();
        continue;
      }
      if (entry[11] == kLongName) {
        // The last part of a name comes first.
        long_name_ = long_name_part(entry) + long_name_;
        if (long_name_.size() > kMaxLongName) long_name_.clear();
        continue;
      }
      std::string name = long_name_.empty() ? short_name(entry) : long_name_;
      long_name_.clear();
      if ((entry[11] & kVolumeLabel) != 0) continue;
      entries.push_back({std::move(name), (entry[11] & kDirectory) != 0,
                         static_cast<uint32_t>(u16(entry + 20)) << 16 | u16(entry + 26),
                         base::load_u32(entry + 28)});
    }
    return true;
  }

 private:
  std::string long_name_;
};

}  // namespace

bool is_same_fat_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return std::tolower(static_cast<unsigned char>(x)) ==
                  std::tolower(static_cast<unsigned char>(y));
         });
}

std::optional<FatReader> FatReader::open(images::DiskSource& disk, uint64_t offset) {
  FatReader reader(disk, offset);
  if (!reader.read_header()) return std::nullopt;
  return reader;
}

base::Bytes FatReader::read_at(uint64_t offset, uint64_t size) {
  if (offset_ > disk_.size() || offset > disk_.size() - offset_ ||
      size > disk_.size() - offset_ - offset)
    return {};
  base::Bytes bytes(size);
  disk_.read(offset_ + offset, bytes);
  return bytes;
}

bool FatReader::read_header() {
  base::Bytes header = read_at(0, kHeaderSize);
  if (header.size() != kHeaderSize || header[510] != 0x55 || header[511] != 0xaa) return false;
  const uint8_t* at = header.data();
  uint64_t sector = u16(at + 11), per_cluster = at[13], reserved = u16(at + 14), copies = at[16];
  uint64_t root_entries = u16(at + 17), sectors = u16(at + 19), table = u16(at + 22);
  if (sectors == 0) sectors = base::load_u32(at + 32);
  if (table == 0) table = base::load_u32(at + 36);
  bool is_power = sector >= 512 && sector <= 4096 && (sector & (sector - 1)) == 0;
  cluster_size_ = sector * per_cluster;
  if (!is_power || per_cluster == 0 || cluster_size_ > kMaxClusterSize) return false;
  if (reserved == 0 || copies == 0 || copies > 4 || table == 0) return false;
  table_begin_ = reserved * sector;
  root_begin_ = table_begin_ + copies * table * sector;
  root_size_ = (root_entries * kEntrySize + sector - 1) / sector * sector;
  data_begin_ = root_begin_ + root_size_;
  uint64_t size = sectors * sector;
  if (data_begin_ >= size) return false;
  uint64_t clusters = (size - data_begin_) / cluster_size_;
  if (clusters > 0x0fff'fff5) return false;
  cluster_count_ = static_cast<uint32_t>(clusters);
  bits_ = clusters < 4085 ? 12 : clusters < 65525 ? 16 : 32;
  root_cluster_ = bits_ == 32 ? base::load_u32(at + 44) : 0;
  return true;
}

std::optional<uint32_t> FatReader::next_cluster(uint32_t cluster) {
  uint64_t place = table_begin_ + uint64_t{cluster} * static_cast<uint64_t>(bits_) / 8;
  base::Bytes bytes = read_at(place, bits_ == 32 ? 4 : 2);
  if (bytes.empty()) return std::nullopt;
  uint32_t next;
  if (bits_ == 32) next = base::load_u32(bytes.data()) & 0x0fff'ffff;
  else if (bits_ == 16) next = u16(bytes.data());
  else next = cluster % 2 == 0 ? u16(bytes.data()) & 0xfff : u16(bytes.data()) >> 4;
  if (next < 2 || next - 2 >= cluster_count_) return std::nullopt;  // the end, or damage
  return next;
}

std::vector<FatEntry> FatReader::list_clusters(uint32_t cluster) {
  std::vector<FatEntry> entries;
  EntryCollector collector;
  if (cluster < 2 || cluster - 2 >= cluster_count_) return entries;
  for (size_t count = 0; count < kMaxClusters; ++count) {
    base::Bytes bytes = read_at(data_begin_ + uint64_t{cluster - 2} * cluster_size_, cluster_size_);
    if (bytes.empty() || !collector.take(bytes, entries)) break;
    auto next = next_cluster(cluster);
    if (!next) break;
    cluster = *next;
  }
  return entries;
}

std::vector<FatEntry> FatReader::list_root() {
  if (bits_ == 32) return list_clusters(root_cluster_);
  std::vector<FatEntry> entries;
  EntryCollector collector;
  collector.take(read_at(root_begin_, std::min<uint64_t>(root_size_, kMaxEntries * kEntrySize)),
                 entries);
  return entries;
}

std::vector<FatEntry> FatReader::list(std::string_view path) {
  std::vector<FatEntry> entries = list_root();
  size_t depth = 0;
  for (const std::string& name : base::split(path, '/')) {
    if (name.empty()) continue;
    auto found = std::find_if(entries.begin(), entries.end(), [&](const FatEntry& each) {
      return each.is_directory && is_same_fat_name(each.name, name);
    });
    if (found == entries.end() || ++depth > kMaxDepth) return {};
    entries = list_clusters(found->first_cluster);
  }
  return entries;
}

std::optional<base::Bytes> FatReader::read_file(std::string_view path, uint32_t limit) {
  size_t slash = path.rfind('/');
  std::string_view folder = slash == std::string_view::npos ? "" : path.substr(0, slash);
  std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  std::vector<FatEntry> entries = list(folder);
  auto found = std::find_if(entries.begin(), entries.end(), [&](const FatEntry& each) {
    return !each.is_directory && is_same_fat_name(each.name, name);
  });
  if (found == entries.end() || found->size > limit) return std::nullopt;
  base::Bytes content;
  std::optional<uint32_t> cluster = found->first_cluster;
  while (content.size() < found->size) {
    if (!cluster || *cluster < 2 || *cluster - 2 >= cluster_count_) return std::nullopt;
    base::Bytes bytes =
        read_at(data_begin_ + uint64_t{*cluster - 2} * cluster_size_, cluster_size_);
    if (bytes.empty()) return std::nullopt;
    content.insert(content.end(), bytes.begin(), bytes.end());
    cluster = next_cluster(*cluster);
  }
  content.resize(found->size);
  return content;
}

}  // namespace appliance::boot
