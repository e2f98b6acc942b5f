// exFAT, by its layout. Source: Microsoft's "exFAT file system specification", 2019. A file's id is
// its folder (first cluster, and how it goes on) and the number of its entry there.
#include <fmt/format.h>

#include <algorithm>
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
constexpr uint64_t kMaxFolder = 256 << 20;  // bytes, by the specification
constexpr uint8_t kFile = 0x85, kStream = 0xc0, kName = 0xc1, kLabel = 0x83;
constexpr uint16_t kReadOnly = 1, kFolder = 16;
constexpr uint32_t kLastCluster = 0xfffffff7;

struct Layout {
  uint64_t cluster_size = 0, table = 0, clusters = 0;  // bytes
  uint32_t cluster_count = 0, root = 0;
};

// Where a file's clusters are.
struct Chain {
  uint32_t first = 0;
  bool is_row = false;  // they follow each other, and the table says nothing
  uint64_t size = 0;    // bytes; 0: to the end of the chain
};

struct FileEntry {
  std::string name;
  uint16_t flags = 0;
  FileTime modified, accessed, born;
  uint64_t size = 0, known_size = 0;  // bytes; what is not known reads as zeros
  Chain chain;
  size_t entry_count = 0;
};

FileTime time_of(uint32_t stamp, uint8_t hundredths, uint8_t zone) {
  FileTime time =
      time_of_fat(static_cast<uint16_t>(stamp >> 16), static_cast<uint16_t>(stamp), hundredths);
  if ((zone & 0x80) == 0 || time == FileTime{}) return time;
  int quarters = zone & 0x7f;
  if (quarters >= 64) quarters -= 128;
  time.seconds -= quarters * int64_t{15 * 60};
  return time;
}

class ExfatReader : public FileSystemReader {
 public:
  ExfatReader(DiskSource& disk, const Layout& layout, FileSystemFacts facts)
      : disk_(disk), layout_(layout), facts_(std::move(facts)) {
    read_label();
  }

  const FileSystemFacts& facts() const override { return facts_; }
  NodeId root() const override { return {0, 0}; }
  bool ignores_case() const override { return true; }
  std::vector<ExtendedAttribute> attributes(const NodeId&) override { return {}; }
  Node node(const NodeId& id) override;
  void list(const NodeId& folder, uint64_t cursor,
            const std::function<bool(const FolderEntry&)>& on_entry) override;
  std::unique_ptr<FileContent> open(const NodeId& id) override;

 private:
  std::unique_ptr<FileRuns> runs_of(const Chain& chain, uint64_t size);
  Chain chain_of(const NodeId& folder);
  // The folder whose number is in an id, and back: 32 bits cluster, 1 row, 31 clusters.
  Chain unpack(uint64_t tree) const;
  uint64_t pack(const Chain& chain) const;
  std::unique_ptr<FileRuns> entries_of(const Chain& folder) {
    return runs_of(folder, folder.size != 0 ? std::min(folder.size, kMaxFolder) : kMaxFolder);
  }
  std::optional<FileEntry> parse(FileRuns& folder, uint64_t end, uint64_t at);
  FileEntry find(const NodeId& id);
  static uint64_t end_of(FileRuns& folder) {
    std::vector<DataRange> ranges = folder.ranges(SIZE_MAX);
    return ranges.empty() ? 0 : ranges.back().offset + ranges.back().length;
  }
  void read_label();

  DiskSource& disk_;
  const Layout layout_;
  FileSystemFacts facts_;
};

std::unique_ptr<FileRuns> ExfatReader::runs_of(const Chain& chain, uint64_t size) {
  auto runs = std::make_unique<FileRuns>(disk_, size);
  uint64_t done = 0;
  for (uint32_t cluster = chain.first; done < size;) {
    if (cluster < 2 || cluster - 2 >= layout_.cluster_count) {
      bool is_end = cluster > kLastCluster && done > 0 && chain.size == 0;
      if (is_end) break;
      throw Error(ErrorCode::corrupt, "its chain of clusters is broken");
    }
    uint64_t count = 1;
    if (chain.is_row) {
      count = (size + layout_.cluster_size - 1) / layout_.cluster_size;
      if (count > layout_.cluster_count - (cluster - 2))
        throw Error(ErrorCode::corrupt, "its clusters lie beyond the end");
    }
    runs->add(done, layout_.clusters + uint64_t{cluster - 2} * layout_.cluster_size,
              count * layout_.cluster_size);
    done += count * layout_.cluster_size;
    if (done < size)
      cluster =
          little32(read_bytes(disk_, layout_.table + uint64_t{cluster} * 4, 4, "the table"), 0);
  }
  runs->close();
  return runs;
}

Chain ExfatReader::unpack(uint64_t tree) const {
  if (tree == 0) return {layout_.root, false, 0};
  return {static_cast<uint32_t>(tree), (tree >> 32 & 1) != 0, (tree >> 33) * layout_.cluster_size};
}

uint64_t ExfatReader::pack(const Chain& chain) const {
  if (chain.first == layout_.root) return 0;
  uint64_t count = (chain.size + layout_.cluster_size - 1) / layout_.cluster_size;
  return chain.first | uint64_t{chain.is_row} << 32 | (count & 0x7fffffff) << 33;
}

Chain ExfatReader::chain_of(const NodeId& folder) {
  if (folder == root()) return unpack(0);
  FileEntry entry = find(folder);
  if ((entry.flags & kFolder) == 0) throw Error(ErrorCode::corrupt, "it is not a folder");
  return entry.chain;
}

std::optional<FileEntry> ExfatReader::parse(FileRuns& folder, uint64_t end, uint64_t at) {
  Bytes head(kEntry);
  folder.read(at, head);
  if (head[0] != kFile) return std::nullopt;
  FileEntry file;
  size_t more = head[1];
  if (more < 2 || more > 18 || end - at < (more + 1) * kEntry)
    throw Error(ErrorCode::corrupt, "an entry of the folder is damaged");
  file.entry_count = more + 1;
  Bytes rest(more * kEntry);
  folder.read(at + kEntry, rest);
  if (rest[0] != kStream) throw Error(ErrorCode::corrupt, "an entry of the folder is damaged");
  file.flags = little16(head, 4);
  file.born = time_of(little32(head, 8), head[20], head[22]);
  file.modified = time_of(little32(head, 12), head[21], head[23]);
  file.accessed = time_of(little32(head, 16), 0, head[24]);
  file.chain.is_row = (rest[1] & 2) != 0;
  file.chain.first = little32(rest, 20);
  file.known_size = little64(rest, 8);
  file.size = file.chain.size = little64(rest, 24);
  if (file.size > INT64_MAX || file.known_size > file.size)
    throw Error(ErrorCode::corrupt, "an entry of the folder is damaged");
  Bytes units;
  for (size_t i = 1; i < more && rest[i * kEntry] == kName; ++i)
    units.insert(units.end(), rest.begin() + static_cast<ptrdiff_t>(i * kEntry + 2),
                 rest.begin() + static_cast<ptrdiff_t>((i + 1) * kEntry));
  file.name = utf8_of_utf16(part_of(units, 0, std::min<size_t>(rest[3] * size_t{2}, units.size())));
  return file;
}

FileEntry ExfatReader::find(const NodeId& id) {
  auto folder = entries_of(unpack(id.tree));
  uint64_t end = end_of(*folder), at = (id.number - 1) * kEntry;
  if (id.number == 0 || id.number > kMaxFolder / kEntry || at + kEntry > end)
    throw Error(ErrorCode::corrupt, "there is no such entry");
  std::optional<FileEntry> entry = parse(*folder, end, at);
  if (!entry) throw Error(ErrorCode::corrupt, "there is no such entry");
  return std::move(*entry);
}

Node ExfatReader::node(const NodeId& id) {
  Node node;
  node.id = id;
  node.kind = NodeKind::folder;
  node.mode = 0755;
  if (id == root()) return node;
  FileEntry entry = find(id);
  if ((entry.flags & kFolder) == 0) {
    node.kind = NodeKind::file;
    node.mode = (entry.flags & kReadOnly) != 0 ? 0444 : 0644;
    node.size = entry.size;
    node.stored = entry.size;
  }
  node.modified = entry.modified;
  node.accessed = entry.accessed;
  node.born = entry.born;
  return node;
}

void ExfatReader::list(const NodeId& id, uint64_t cursor,
                       const std::function<bool(const FolderEntry&)>& on_entry) {
  Chain chain = chain_of(id);
  auto folder = entries_of(chain);
  uint64_t tree = pack(chain), end = end_of(*folder);
  Bytes head(kEntry);
  for (uint64_t number = cursor; (number + 1) * kEntry <= end;) {
    folder->read(number * kEntry, head);
    if (head[0] == 0) return;
    std::optional<FileEntry> entry = parse(*folder, end, number * kEntry);
    if (!entry) {
      ++number;
      continue;
    }
    uint64_t next = number + entry->entry_count;
    if (!on_entry({std::move(entry->name), {tree, number + 1}, next})) return;
    number = next;
  }
}

std::unique_ptr<FileContent> ExfatReader::open(const NodeId& id) {
  FileEntry entry = find(id);
  if (entry.size == 0) return std::make_unique<SmallContent>(Bytes());
  auto whole = runs_of(entry.chain, entry.known_size);
  // What was not written yet is a hole behind it.
  auto runs = std::make_unique<FileRuns>(disk_, entry.size);
  for (const DataRange& range : whole->pieces())
    runs->add(range.offset, whole->place_of(range.offset), range.length);
  runs->close();
  return runs;
}

void ExfatReader::read_label() {
  auto folder = entries_of(unpack(0));
  uint64_t end = std::min<uint64_t>(end_of(*folder), 1 << 20);
  Bytes head(kEntry);
  for (uint64_t at = 0; at + kEntry <= end; at += kEntry) {
    folder->read(at, head);
    if (head[0] == 0) return;
    if (head[0] != kLabel) continue;
    facts_.label =
        base::clean_text(utf8_of_utf16(part_of(head, 2, std::min<size_t>(head[1], 11) * 2)), 64);
    return;
  }
}

}  // namespace

std::unique_ptr<FileSystemReader> open_exfat(DiskSource& disk) {
  if (disk.size() < 4096) return nullptr;
  Bytes boot = read_bytes(disk, 0, 512, "the boot sector");
  if (base::as_text(boot).substr(3, 8) != "EXFAT   ") return nullptr;
  unsigned sector_log = boot[108], cluster_log = boot[109];
  Layout layout;
  if (sector_log < 9 || sector_log > 12 || cluster_log > 25 - sector_log)
    throw Error(ErrorCode::corrupt, "the boot sector of exFAT is damaged");
  layout.cluster_size = uint64_t{1} << (sector_log + cluster_log);
  layout.table = uint64_t{little32(boot, 80)} << sector_log;
  layout.clusters = uint64_t{little32(boot, 88)} << sector_log;
  layout.root = little32(boot, 96);
  uint64_t count = little32(boot, 92);
  if (layout.clusters >= disk.size() || layout.root < 2)
    throw Error(ErrorCode::corrupt, "the boot sector of exFAT is damaged");
  layout.cluster_count =
      static_cast<uint32_t>(std::min(count, (disk.size() - layout.clusters) / layout.cluster_size));
  uint32_t serial = little32(boot, 100);
  FileSystemFacts facts{.type = "exfat"};
  facts.uuid = fmt::format("{:04X}-{:04X}", serial >> 16, serial & 0xffff);
  facts.size = layout.cluster_count * layout.cluster_size;
  return std::make_unique<ExfatReader>(disk, layout, std::move(facts));
}

}  // namespace images::files
