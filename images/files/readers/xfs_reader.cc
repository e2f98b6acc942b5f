// XFS, by its layout (xfs_format.h): no library that reads it as Linux of today writes it is at hand
// (docs/decisions/file-restore.md). The log is not replayed; this is said if there is something in it.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/error.h"
#include "images/files/readers/file_runs.h"
#include "images/files/readers/file_system_reader.h"
#include "images/files/readers/text_values.h"
#include "images/files/readers/values_at.h"
#include "images/files/readers/xfs_attributes.h"
#include "images/files/readers/xfs_format.h"
#include "images/files/readers/xfs_log.h"

namespace images::files {
namespace {

using base::Bytes;
using base::ByteView;
using base::Error;
using base::ErrorCode;
using xfs::Fork;
using xfs::Inode;
using xfs::Superblock;

constexpr uint64_t kFolderSpace = 1ull << 35;  // bytes: names are before it
constexpr int kMaxTreeDepth = 9;
constexpr size_t kMaxTreeBlocks = 500'000;
constexpr uint16_t kRealtime = 1;  // a flag of an inode

[[noreturn]] void damaged(const char* what) {
  throw Error(ErrorCode::corrupt, fmt::format("{} is damaged", what));
}

class XfsReader : public FileSystemReader {
 public:
  XfsReader(DiskSource& disk, Superblock super, FileSystemFacts facts)
      : disk_(disk), super_(std::move(super)), facts_(std::move(facts)) {}

  const FileSystemFacts& facts() const override { return facts_; }
  NodeId root() const override { return {0, super_.root}; }
  Node node(const NodeId& id) override;
  void list(const NodeId& folder, uint64_t cursor,
            const std::function<bool(const FolderEntry&)>& on_entry) override;
  std::vector<ExtendedAttribute> attributes(const NodeId& id) override;
  std::unique_ptr<FileContent> open(const NodeId& id) override;

 private:
  Inode inode(const NodeId& id) {
    std::optional<uint64_t> place = super_.place_of_inode(id.number);
    if (!place) damaged("the number of an inode");
    return xfs::parse_inode(read_bytes(disk_, *place, super_.inode_size, "an inode"), super_);
  }
  // The blocks of a fork, of which the first `size` bytes count.
  std::unique_ptr<FileRuns> runs_of(Fork kind, const Bytes& fork, uint64_t count, uint64_t size);
  void add_tree(uint64_t block, int level, FileRuns& to, size_t& seen);
  void add_extent(const xfs::Extent& extent, FileRuns& to);
  std::string target_of(const Inode& inode);
  void list_small(const Bytes& fork, uint64_t cursor,
                  const std::function<bool(const FolderEntry&)>& on_entry) const;
  bool list_block(const Bytes& block, uint64_t begin, uint64_t cursor,
                  const std::function<bool(const FolderEntry&)>& on_entry) const;

  DiskSource& disk_;
  const Superblock super_;
  const FileSystemFacts facts_;
};

void XfsReader::add_extent(const xfs::Extent& extent, FileRuns& to) {
  if (!extent.is_written || extent.count == 0) return;
  std::optional<uint64_t> place = super_.place_of_block(extent.block);
  if (!place) damaged("a file's extent");
  if (extent.offset > uint64_t{INT64_MAX} >> super_.block_log) return;
  to.add(extent.offset << super_.block_log, *place, extent.count << super_.block_log);
}

void XfsReader::add_tree(uint64_t block, int level, FileRuns& to, size_t& seen) {
  std::optional<uint64_t> place = super_.place_of_block(block);
  if (!place || ++seen > kMaxTreeBlocks) damaged("a file's tree of extents");
  Bytes bytes = read_bytes(disk_, *place, super_.block_size, "a tree of extents");
  size_t head = super_.is_new ? 72 : 24, count = big16(bytes, 6);
  std::string_view magic = base::as_text(bytes).substr(0, 4);
  if ((magic != "BMAP" && magic != "BMA3") || big16(bytes, 4) != level ||
      count > (bytes.size() - head) / 16)
    damaged("a file's tree of extents");
  if (level == 0) {
    for (size_t i = 0; i < count; ++i) add_extent(xfs::parse_extent(bytes, head + 16 * i), to);
    return;
  }
  size_t pointers = head + (bytes.size() - head) / 16 * 8;
  for (size_t i = 0; i < count; ++i) add_tree(big64(bytes, pointers + 8 * i), level - 1, to, seen);
}

std::unique_ptr<FileRuns> XfsReader::runs_of(Fork kind, const Bytes& fork, uint64_t count,
                                             uint64_t size) {
  auto runs = std::make_unique<FileRuns>(disk_, size);
  if (kind == Fork::extents) {
    if (count > fork.size() / 16) damaged("a file's list of extents");
    for (uint64_t i = 0; i < count; ++i) add_extent(xfs::parse_extent(fork, 16 * i), *runs);
  } else if (kind == Fork::tree) {
    int level = big16(fork, 0);
    size_t records = big16(fork, 2), room = (fork.size() - 4) / 16, seen = 0;
    if (level < 1 || level > kMaxTreeDepth || records > room) damaged("a file's tree of extents");
    for (size_t i = 0; i < records; ++i)
      add_tree(big64(fork, 4 + room * 8 + 8 * i), level - 1, *runs, seen);
  } else {
    damaged("an inode");
  }
  runs->close();
  return runs;
}

std::string XfsReader::target_of(const Inode& inode) {
  constexpr uint64_t kMaxLength = 4096;
  constexpr size_t kBlockHeader = 56;
  if (inode.size > kMaxLength) damaged("a link");
  if (inode.data_kind == Fork::local)
    return std::string(base::as_text(part_of(inode.data, 0, inode.size)));
  auto runs = runs_of(inode.data_kind, inode.data, inode.data_extents, UINT32_MAX);
  std::string target;
  size_t header = super_.is_new ? kBlockHeader : 0;
  for (uint64_t at = 0; target.size() < inode.size; at += super_.block_size) {
    Bytes block(super_.block_size);
    runs->read(at, block);
    size_t size = std::min<size_t>(inode.size - target.size(), block.size() - header);
    target += base::as_text(part_of(block, header, size));
  }
  return target;
}

Node XfsReader::node(const NodeId& id) {
  Inode read = inode(id);
  Node node;
  node.kind = kind_of_mode(read.mode);
  node.id = id;
  node.has_owner = true;
  node.mode = read.mode & 07777;
  node.owner = read.owner;
  node.group = read.group;
  node.link_count = read.link_count;
  node.size = node.kind == NodeKind::file || node.kind == NodeKind::link ? read.size : 0;
  node.stored = std::min(read.block_count, uint64_t{1} << 40) << super_.block_log;
  node.modified = read.modified;
  node.changed = read.changed;
  node.accessed = read.accessed;
  node.born = read.born;
  if (node.kind == NodeKind::link) {
    node.target = target_of(read);
    node.target = node.target.substr(0, node.target.find('\0'));
  }
  if (node.kind == NodeKind::character_device || node.kind == NodeKind::block_device) {
    uint32_t device = big32(read.data, 0);
    node.device_major = device >> 18 & 0x3fff;
    node.device_minor = device & 0x3ffff;
  }
  return node;
}

// A folder in its inode: the cursor counts entries.
void XfsReader::list_small(const Bytes& fork, uint64_t cursor,
                           const std::function<bool(const FolderEntry&)>& on_entry) const {
  size_t count = u8_at(fork, 0), number_size = u8_at(fork, 1) != 0 ? 8 : 4;
  if (number_size == 8) count = std::max<size_t>(count, u8_at(fork, 1));
  size_t at = 2 + number_size;
  for (size_t i = 0; i < count; ++i) {
    size_t length = u8_at(fork, at);
    std::string name(base::as_text(part_of(fork, at + 3, length)));
    at += 3 + length + (super_.has_kinds ? 1 : 0);
    uint64_t number = big(fork, at, number_size);
    at += number_size;
    if (i >= cursor && !on_entry({std::move(name), {0, number}, i + 1})) return;
  }
}

// False: enough.
bool XfsReader::list_block(const Bytes& block, uint64_t begin, uint64_t cursor,
                           const std::function<bool(const FolderEntry&)>& on_entry) const {
  std::string_view magic = base::as_text(block).substr(0, 4);
  bool is_single = magic == "XDB3" || magic == "XD2B";
  if (!is_single && magic != "XDD3" && magic != "XD2D") damaged("the folder");
  size_t end = block.size();
  if (is_single) {
    uint64_t leaves = big32(block, end - 8);
    if (leaves > (end - 8) / 8) damaged("the folder");
    end -= 8 + leaves * 8;
  }
  for (size_t at = super_.is_new ? 64 : 16; at + 8 <= end;) {
    if (big16(block, at) == 0xffff) {
      size_t length = big16(block, at + 2);
      if (length == 0 || length % 8 != 0) damaged("the folder");
      at += length;
      continue;
    }
    size_t length = u8_at(block, at + 8);
    size_t size = (8 + 1 + length + (super_.has_kinds ? 1 : 0) + 2 + 7) / 8 * 8;
    if (length == 0 || size > end - at) damaged("the folder");
    if (begin + at >= cursor) {
      std::string name(base::as_text(part_of(block, at + 9, length)));
      if (!on_entry({std::move(name), {0, big64(block, at)}, begin + at + size})) return false;
    }
    at += size;
  }
  return true;
}

void XfsReader::list(const NodeId& folder, uint64_t cursor,
                     const std::function<bool(const FolderEntry&)>& on_entry) {
  Inode read = inode(folder);
  if (kind_of_mode(read.mode) != NodeKind::folder)
    throw Error(ErrorCode::corrupt, "it is not a folder");
  if (read.data_kind == Fork::local) {
    list_small(read.data, cursor, on_entry);
    return;
  }
  auto runs =
      runs_of(read.data_kind, read.data, read.data_extents, std::min(read.size, kFolderSpace));
  Bytes block(super_.folder_block_size);
  for (const DataRange& range : runs->ranges(SIZE_MAX)) {
    uint64_t first = std::max(range.offset, cursor / block.size() * block.size());
    for (uint64_t at = first; at + block.size() <= range.offset + range.length;
         at += block.size()) {
      runs->read(at, block);
      if (!list_block(block, at, cursor, on_entry)) return;
    }
  }
}

std::vector<ExtendedAttribute> XfsReader::attributes(const NodeId& id) {
  Inode read = inode(id);
  if (read.attributes.empty()) return {};
  if (read.attribute_kind == Fork::local) return xfs::local_attributes(read.attributes);
  bool is_empty = read.attribute_kind == Fork::extents && read.attribute_extents == 0;
  if (is_empty || read.attribute_kind == Fork::other) return {};
  auto runs = runs_of(read.attribute_kind, read.attributes, read.attribute_extents,
                      uint64_t{UINT32_MAX} << super_.block_log);
  return xfs::block_attributes(*runs, super_);
}

std::unique_ptr<FileContent> XfsReader::open(const NodeId& id) {
  Inode read = inode(id);
  if ((read.flags & kRealtime) != 0)
    throw Error(ErrorCode::unsupported, "it is on XFS's realtime device, which is not read");
  if (read.data_kind == Fork::local)
    return std::make_unique<SmallContent>(
        Bytes(read.data.begin(), read.data.begin() + static_cast<ptrdiff_t>(std::min<uint64_t>(
                                                         read.size, read.data.size()))));
  return runs_of(read.data_kind, read.data, read.data_extents, read.size);
}

}  // namespace

std::unique_ptr<FileSystemReader> open_xfs(DiskSource& disk) {
  if (disk.size() < 64 << 10) return nullptr;
  std::optional<Superblock> super =
      xfs::parse_superblock(read_bytes(disk, 0, 512, "the superblock"));
  if (!super) return nullptr;
  FileSystemFacts facts{.type = "xfs"};
  facts.label = super->label;
  facts.uuid = super->uuid;
  facts.size = super->block_count << super->block_log;
  if (super->needs_repair) facts.notes.emplace_back("It is marked as needing repair.");
  std::string note = xfs::log_note(disk, *super);
  if (!note.empty()) facts.notes.push_back(note);
  return std::make_unique<XfsReader>(disk, std::move(*super), std::move(facts));
}

}  // namespace images::files
