// FAT12, FAT16 and FAT32, by their layout. Source: Microsoft's "FAT: General Overview of On-Disk
// Format" 1.03. A file's id is the byte place of its entry. Times have no zone and are taken as UTC.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <optional>

#include "base/clean_text.h"
#include "base/error.h"
#include "images/files/readers/fat_times.h"
#include "images/files/readers/file_runs.h"
#include "images/files/readers/file_system_reader.h"
#include "images/files/readers/text_values.h"
#include "images/files/readers/values_at.h"

namespace images::files {
namespace {

using base::Bytes;
using base::ByteView;
using base::Error;
using base::ErrorCode;

constexpr size_t kEntry = 32;
constexpr uint64_t kMaxFolder = 65536 * kEntry;
constexpr uint8_t kReadOnly = 1, kVolumeLabel = 8, kFolder = 16, kLongName = 15;
constexpr uint64_t kRootPlace = 1;  // no entry is there

struct Layout {
  uint32_t cluster_size = 0, cluster_count = 0;
  int bits = 0;                                               // of an entry of the table
  uint64_t table = 0, root = 0, root_size = 0, clusters = 0;  // bytes
  uint32_t root_cluster = 0;
  std::string label, serial;
};

std::optional<Layout> parse_layout(ByteView boot, uint64_t disk_size) {
  if (little16(boot, 510) != 0xaa55 || (boot[0] != 0xeb && boot[0] != 0xe9)) return std::nullopt;
  uint32_t sector = little16(boot, 11), per_cluster = boot[13], reserved = little16(boot, 14);
  uint32_t tables = boot[16], root_entries = little16(boot, 17);
  uint64_t total = little16(boot, 19) != 0 ? little16(boot, 19) : little32(boot, 32);
  uint64_t table_sectors = little16(boot, 22) != 0 ? little16(boot, 22) : little32(boot, 36);
  auto is_power = [](uint32_t value) { return value != 0 && (value & (value - 1)) == 0; };
  if (!is_power(sector) || sector < 512 || sector > 4096 || !is_power(per_cluster) ||
      reserved == 0 || tables == 0 || tables > 4 || table_sectors == 0 || total == 0)
    return std::nullopt;
  Layout layout;
  layout.cluster_size = sector * per_cluster;
  layout.table = uint64_t{reserved} * sector;
  layout.root = layout.table + tables * table_sectors * sector;
  layout.root_size = uint64_t{root_entries} * kEntry;
  layout.clusters = layout.root + (layout.root_size + sector - 1) / sector * sector;
  uint64_t end = std::min(total * sector, disk_size);
  if (layout.clusters >= end) return std::nullopt;
  uint64_t count = (end - layout.clusters) / layout.cluster_size;
  bool is_wide = little16(boot, 22) == 0;
  uint64_t said = (total * sector - layout.clusters) / layout.cluster_size;
  layout.bits = is_wide ? 32 : said < 4085 ? 12 : 16;
  uint64_t in_table = table_sectors * sector * 8 / static_cast<uint64_t>(layout.bits);
  layout.cluster_count = static_cast<uint32_t>(
      std::min<uint64_t>({count, in_table > 2 ? in_table - 2 : 0, 0x0ffffff5}));
  if (is_wide) layout.root_cluster = little32(boot, 44);
  size_t more = is_wide ? 64 : 36;
  if (boot[more + 2] == 0x29) {
    uint32_t serial = little32(boot, more + 3);
    layout.serial = fmt::format("{:04X}-{:04X}", serial >> 16, serial & 0xffff);
    std::string label(base::as_text(part_of(boot, more + 7, 11)));
    label.erase(label.find_last_not_of(' ') + 1);
    if (label != "NO NAME") layout.label = base::clean_text(label, 64);
  }
  return layout;
}

std::string short_name(ByteView entry) {
  std::string stem(base::as_text(entry.first(8))), ending(base::as_text(entry.subspan(8, 3)));
  auto tidy = [](std::string& text, bool is_lower) {
    text.erase(text.find_last_not_of(' ') + 1);
    for (char& each : text)
      each = is_lower && each >= 'A' && each <= 'Z' ? static_cast<char>(each + 32) : each;
  };
  tidy(stem, (entry[12] & 8) != 0);
  tidy(ending, (entry[12] & 16) != 0);
  if (!stem.empty() && stem[0] == 5) stem[0] = static_cast<char>(0xe5);
  return ending.empty() ? stem : stem + "." + ending;
}

// Collects the parts of a long name, which come before the entry that they name, last first.
class LongName {
 public:
  void add(ByteView entry) {
    uint8_t order = entry[0];
    if ((order & 0x40) != 0) {
      units_.clear();
      checksum_ = entry[13];
      next_ = order & 0x3f;
    }
    if (next_ == 0 || (order & 0x3f) != next_ || entry[13] != checksum_) {
      next_ = 0;
      is_good_ = false;
      return;
    }
    Bytes part;
    for (auto [at, size] : {std::pair{1, 10}, std::pair{14, 12}, std::pair{28, 4}}) {
      ByteView bytes = part_of(entry, static_cast<size_t>(at), static_cast<size_t>(size));
      part.insert(part.end(), bytes.begin(), bytes.end());
    }
    units_.insert(units_.begin(), part.begin(), part.end());
    is_good_ = --next_ == 0;
  }
  // The name of this entry; empty: none fits.
  std::string take(ByteView entry) {
    uint8_t sum = 0;
    for (uint8_t each : entry.first(11)) sum = static_cast<uint8_t>((sum >> 1 | sum << 7) + each);
    std::string name;
    if (is_good_ && sum == checksum_) {
      size_t end = 0;
      while (end + 1 < units_.size() && (units_[end] != 0 || units_[end + 1] != 0)) end += 2;
      name = utf8_of_utf16(ByteView(units_).first(end));
    }
    is_good_ = false;
    next_ = 0;
    return name;
  }

 private:
  Bytes units_;
  uint8_t checksum_ = 0;
  int next_ = 0;
  bool is_good_ = false;
};

class FatReader : public FileSystemReader {
 public:
  FatReader(DiskSource& disk, Layout layout, FileSystemFacts facts)
      : disk_(disk), layout_(std::move(layout)), facts_(std::move(facts)) {}

  const FileSystemFacts& facts() const override { return facts_; }
  NodeId root() const override { return {0, kRootPlace}; }
  bool ignores_case() const override { return true; }
  std::vector<ExtendedAttribute> attributes(const NodeId&) override { return {}; }
  Node node(const NodeId& id) override;
  void list(const NodeId& folder, uint64_t cursor,
            const std::function<bool(const FolderEntry&)>& on_entry) override;
  std::unique_ptr<FileContent> open(const NodeId& id) override;

 private:
  uint32_t next_cluster(uint32_t cluster);
  // The clusters of a chain, as the first `size` bytes of a file.
  std::unique_ptr<FileRuns> chain(uint32_t first, uint64_t size, bool is_folder = false);
  // A folder's entries, which may be fewer than said.
  std::unique_ptr<FileRuns> folder_of(const NodeId& id);
  Bytes entry(const NodeId& id) { return read_bytes(disk_, id.number, kEntry, "an entry"); }
  uint32_t first_cluster(ByteView entry) const {
    uint32_t high = layout_.bits == 32 ? little16(entry, 20) : 0;
    return (high << 16 | little16(entry, 26)) & 0x0fffffff;
  }

  DiskSource& disk_;
  const Layout layout_;
  const FileSystemFacts facts_;
};

uint32_t FatReader::next_cluster(uint32_t cluster) {
  if (layout_.bits == 12) {
    Bytes pair = read_bytes(disk_, layout_.table + cluster + cluster / 2, 2, "the table");
    uint16_t value = little16(pair, 0);
    return cluster % 2 != 0 ? value >> 4 : value & 0xfff;
  }
  uint64_t size = static_cast<uint64_t>(layout_.bits / 8);
  Bytes bytes = read_bytes(disk_, layout_.table + cluster * size, size, "the table");
  return static_cast<uint32_t>(little(bytes, 0, size)) & 0x0fffffff;
}

std::unique_ptr<FileRuns> FatReader::chain(uint32_t first, uint64_t size, bool is_folder) {
  auto runs = std::make_unique<FileRuns>(disk_, size);
  uint64_t done = 0;
  for (uint32_t cluster = first; done < size; cluster = next_cluster(cluster)) {
    bool is_inside = cluster >= 2 && cluster - 2 < layout_.cluster_count;
    if (!is_inside) {
      uint32_t last = layout_.bits == 12 ? 0xff8 : layout_.bits == 16 ? 0xfff8 : 0x0ffffff8;
      bool is_end = cluster >= last && done > 0;
      if (is_end && is_folder) break;  // folders do not say how long they are
      throw Error(ErrorCode::corrupt, "its chain of clusters is broken");
    }
    runs->add(done, layout_.clusters + uint64_t{cluster - 2} * layout_.cluster_size,
              layout_.cluster_size);
    done += layout_.cluster_size;
  }
  runs->close();
  return runs;
}

std::unique_ptr<FileRuns> FatReader::folder_of(const NodeId& id) {
  uint32_t first = layout_.root_cluster;
  if (id.number != kRootPlace) {
    Bytes bytes = entry(id);
    if ((bytes[11] & kFolder) == 0) throw Error(ErrorCode::corrupt, "it is not a folder");
    first = first_cluster(bytes);
  }
  if (first != 0) return chain(first, kMaxFolder, true);
  auto runs = std::make_unique<FileRuns>(disk_, layout_.root_size);
  runs->add(0, layout_.root, layout_.root_size);
  return runs;
}

Node FatReader::node(const NodeId& id) {
  Node node;
  node.id = id;
  if (id.number == kRootPlace) {
    node.kind = NodeKind::folder;
    node.mode = 0755;
    return node;
  }
  Bytes bytes = entry(id);
  bool is_folder = (bytes[11] & kFolder) != 0;
  node.kind = is_folder ? NodeKind::folder : NodeKind::file;
  node.mode = is_folder ? 0755 : (bytes[11] & kReadOnly) != 0 ? 0444 : 0644;
  node.size = is_folder ? 0 : little32(bytes, 28);
  node.stored =
      (node.size + layout_.cluster_size - 1) / layout_.cluster_size * layout_.cluster_size;
  node.modified = time_of_fat(little16(bytes, 24), little16(bytes, 22), 0);
  node.accessed = time_of_fat(little16(bytes, 18), 0, 0);
  node.born = time_of_fat(little16(bytes, 16), little16(bytes, 14), bytes[13]);
  return node;
}

void FatReader::list(const NodeId& folder, uint64_t cursor,
                     const std::function<bool(const FolderEntry&)>& on_entry) {
  auto runs = folder_of(folder);
  LongName long_name;
  for (const DataRange& range : runs->ranges(SIZE_MAX)) {
    for (uint64_t at = std::max(range.offset, cursor * kEntry);
         at + kEntry <= range.offset + range.length; at += kEntry) {
      Bytes bytes(kEntry);
      runs->read(at, bytes);
      if (bytes[0] == 0) return;
      if (bytes[0] == 0xe5) {
        long_name = {};
        continue;
      }
      if ((bytes[11] & 0x3f) == kLongName) {
        long_name.add(bytes);
        continue;
      }
      if ((bytes[11] & kVolumeLabel) != 0) continue;
      std::string name = long_name.take(bytes);
      if (name.empty()) name = short_name(bytes);
      uint64_t place = runs->place_of(at);
      if (!on_entry({std::move(name), {0, place}, at / kEntry + 1})) return;
    }
  }
}

std::unique_ptr<FileContent> FatReader::open(const NodeId& id) {
  Bytes bytes = entry(id);
  uint32_t size = little32(bytes, 28);
  if (size == 0) return std::make_unique<SmallContent>(Bytes());
  return chain(first_cluster(bytes), size);
}

}  // namespace

std::unique_ptr<FileSystemReader> open_fat(DiskSource& disk) {
  if (disk.size() < 4096) return nullptr;
  std::optional<Layout> layout =
      parse_layout(read_bytes(disk, 0, 512, "the boot sector"), disk.size());
  if (!layout) return nullptr;
  FileSystemFacts facts{.type = "vfat", .label = layout->label, .uuid = layout->serial};
  facts.size = uint64_t{layout->cluster_count} * layout->cluster_size;
  auto reader = std::make_unique<FatReader>(disk, std::move(*layout), facts);
  // Code of a loader may look like a boot sector: the root must be a folder.
  reader->list(reader->root(), 0, [](const FolderEntry&) { return false; });
  return reader;
}

}  // namespace images::files
