// Btrfs, by its layout (btrfs_format.h), with its subvolumes as folders, as a mount of the top volume
// shows them. No library or program in Debian reads it file by file with owners and attributes
// (docs/decisions/file-restore.md). The log of flushed files is not replayed; this is said.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/error.h"
#include "images/files/readers/btrfs_content.h"
#include "images/files/readers/btrfs_trees.h"
#include "images/files/readers/file_runs.h"
#include "images/files/readers/file_system_reader.h"
#include "images/files/readers/text_values.h"
#include "images/files/readers/values_at.h"

namespace images::files {
namespace {

using base::ByteView;
using base::Error;
using base::ErrorCode;
using btrfs::Key;
using btrfs::Trees;

constexpr size_t kMaxTargetSize = 4096;
// Marks the id of a folder that stands for a subvolume that is not in its snapshot.
constexpr uint64_t kEmptyFolder = 1ull << 63;

FileTime time_at(ByteView bytes, size_t at) {
  return {static_cast<int64_t>(little64(bytes, at)),
          std::min(little32(bytes, at + 8), 999'999'999u)};
}

class BtrfsReader : public FileSystemReader {
 public:
  BtrfsReader(std::unique_ptr<Trees> trees, FileSystemFacts facts)
      : trees_(std::move(trees)), facts_(std::move(facts)) {
    trees_->find_tree(btrfs::kTopVolume);
  }

  const FileSystemFacts& facts() const override { return facts_; }
  NodeId root() const override { return {btrfs::kTopVolume, btrfs::kFirstFree}; }
  Node node(const NodeId& id) override;
  void list(const NodeId& folder, uint64_t cursor,
            const std::function<bool(const FolderEntry&)>& on_entry) override;
  std::vector<ExtendedAttribute> attributes(const NodeId& id) override;
  std::unique_ptr<FileContent> open(const NodeId& id) override {
    Node file = node(id);
    return std::make_unique<btrfs::Content>(*trees_, trees_->find_tree(id.tree), id.number,
                                            file.size);
  }

 private:
  bool has_volume(uint64_t parent, uint64_t volume);

  std::unique_ptr<Trees> trees_;
  const FileSystemFacts facts_;
};

// A snapshot holds the names of subvolumes that were in what it is of, but not them.
bool BtrfsReader::has_volume(uint64_t parent, uint64_t volume) {
  bool is_there = false;
  Key wanted{parent, btrfs::kRootRef, volume};
  trees_->each(trees_->root_tree(), wanted, [&](const Key& key, ByteView) {
    is_there = key == wanted;
    return false;
  });
  return is_there;
}

Node BtrfsReader::node(const NodeId& id) {
  if ((id.tree & kEmptyFolder) != 0) {
    Node empty;
    empty.kind = NodeKind::folder;
    empty.id = id;
    empty.has_owner = true;
    empty.mode = 0755;
    return empty;
  }
  Trees::Root volume = trees_->find_tree(id.tree);
  bool is_found = false;
  Node node;
  trees_->each(volume, {id.number, btrfs::kInodeItem, 0}, [&](const Key& key, ByteView data) {
    if (key.object != id.number || key.type != btrfs::kInodeItem) return false;
    is_found = true;
    uint32_t mode = little32(data, 52);
    node.kind = kind_of_mode(mode);
    node.mode = mode & 07777;
    node.size = little64(data, 16);
    node.stored = little64(data, 24);
    node.link_count = little32(data, 40);
    node.owner = little32(data, 44);
    node.group = little32(data, 48);
    uint64_t device = little64(data, 56);
    node.device_major = static_cast<uint32_t>(device >> 20);
    node.device_minor = static_cast<uint32_t>(device & 0xfffff);
    node.accessed = time_at(data, 112);
    node.changed = time_at(data, 124);
    node.modified = time_at(data, 136);
    node.born = time_at(data, 148);
    return false;
  });
  if (!is_found) throw Error(ErrorCode::corrupt, "an inode is missing");
  node.id = id;
  node.has_owner = true;
  node.is_volume = id.number == btrfs::kFirstFree && id.tree != btrfs::kTopVolume;
  if (node.size > INT64_MAX) throw Error(ErrorCode::corrupt, "its size is impossible");
  if (node.kind == NodeKind::link) {
    if (node.size > kMaxTargetSize) throw Error(ErrorCode::corrupt, "a link's target is too long");
    base::Bytes target(node.size);
    btrfs::Content(*trees_, volume, id.number, node.size).read(0, target);
    node.target = base::as_text(target);
    node.target = node.target.substr(0, node.target.find('\0'));
  } else if (node.kind != NodeKind::file) {
    node.size = 0;
  }
  return node;
}

void BtrfsReader::list(const NodeId& folder, uint64_t cursor,
                       const std::function<bool(const FolderEntry&)>& on_entry) {
  if ((folder.tree & kEmptyFolder) != 0) return;
  Trees::Root volume = trees_->find_tree(folder.tree);
  trees_->each(
      volume, {folder.number, btrfs::kDirIndex, cursor}, [&](const Key& key, ByteView data) {
        if (key.object != folder.number || key.type != btrfs::kDirIndex) return false;
        Key to = btrfs::key_at(data, 0);
        size_t name_size = little16(data, 27);
        FolderEntry entry;
        entry.name = base::as_text(part_of(data, 30, name_size));
        entry.next = key.offset + 1;
        entry.id = {folder.tree, to.object};
        if (to.type == btrfs::kRootItem)
          entry.id = has_volume(folder.tree, to.object)
                         ? NodeId{to.object, btrfs::kFirstFree}
                         : NodeId{folder.tree | kEmptyFolder, key.offset << 32 ^ folder.number};
        return on_entry(entry);
      });
}

std::vector<ExtendedAttribute> BtrfsReader::attributes(const NodeId& id) {
  std::vector<ExtendedAttribute> all;
  size_t total = 0;
  if ((id.tree & kEmptyFolder) != 0) return all;
  trees_->each(
      trees_->find_tree(id.tree), {id.number, btrfs::kXattrItem, 0},
      [&](const Key& key, ByteView data) {
        if (key.object != id.number || key.type != btrfs::kXattrItem) return false;
        for (uint64_t at = 0; at + 30 <= data.size();) {
          uint64_t value_size = little16(data, at + 25), name_size = little16(data, at + 27);
          ByteView name = part_of(data, at + 30, name_size);
          ByteView value = part_of(data, at + 30 + name_size, value_size);
          total += value.size();
          if (total > kMaxAttributes || all.size() >= kMaxAttributeCount)
            throw Error(ErrorCode::unsupported, "its extended attributes are too large");
          all.push_back({std::string(base::as_text(name)), std::string(base::as_text(value))});
          at += 30 + name_size + value_size;
        }
        return true;
      });
  return all;
}

std::optional<btrfs::Superblock> superblock_of(DiskSource& disk) {
  if (disk.size() < btrfs::kSuperblockPlace + btrfs::kSuperblockSize) return std::nullopt;
  return btrfs::parse_superblock(
      read_bytes(disk, btrfs::kSuperblockPlace, btrfs::kSuperblockSize, "the superblock"));
}

}  // namespace

std::unique_ptr<FileSystemReader> open_btrfs(DiskSource& disk,
                                             const std::vector<DiskSource*>& disks) {
  std::optional<btrfs::Superblock> super = superblock_of(disk);
  if (!super) return nullptr;
  std::map<uint64_t, DiskSource*> devices{{super->device, &disk}};
  for (DiskSource* each : disks) {
    if (super->device_count == 1 || each == &disk) continue;
    try {
      auto other = superblock_of(*each);
      if (other && other->file_system_id == super->file_system_id)
        devices.try_emplace(other->device, each);
    } catch (const Error&) {
      // It belongs to another file system, or cannot help.
    }
  }
  FileSystemFacts facts{.type = "btrfs", .label = super->label, .uuid = super->uuid};
  facts.size = super->size;
  if (devices.size() < super->device_count)
    facts.notes.push_back(fmt::format("Only {} of its {} devices are in the point.", devices.size(),
                                      super->device_count));
  if (super->log_root != 0)
    facts.notes.emplace_back(
        "Its log is not replayed: what programs had flushed in the last seconds before the point "
        "may "
        "be missing in single files.");
  auto trees = std::make_unique<Trees>(std::move(*super), std::move(devices));
  return std::make_unique<BtrfsReader>(std::move(trees), std::move(facts));
}

}  // namespace images::files
