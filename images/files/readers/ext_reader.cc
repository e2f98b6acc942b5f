// ext2, ext3 and ext4 through libext2fs, which e2fsprogs' own tools use. A journal that has to be
// replayed is replayed on a layer (ext_journal.h).
#include <ext2fs/ext2fs.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/clean_text.h"
#include "base/error.h"
#include "images/files/readers/ext_disk.h"
#include "images/files/readers/ext_journal.h"
#include "images/files/readers/file_runs.h"
#include "images/files/readers/file_system_reader.h"
#include "images/files/readers/text_values.h"

namespace images::files {
namespace {

using base::Bytes;
using base::Error;
using base::ErrorCode;

constexpr uint64_t kMaxFolderSize = 8ull << 30;  // bytes
constexpr size_t kMaxInline = 64 << 10;          // bytes

[[noreturn]] void fail(errcode_t code, const char* what) {
  throw Error(ErrorCode::corrupt, fmt::format("{}: {}", what, ::error_message(code)));
}
void expect(errcode_t code, const char* what) {
  if (code != 0) fail(code, what);
}

struct CloseFileSystem {
  void operator()(ext2_filsys fs) const { ext2fs_close_free(&fs); }
};
using FileSystem = std::unique_ptr<struct_ext2_filsys, CloseFileSystem>;

// Null for what is no such file system.
FileSystem open_on(DiskSource& disk, std::string& note) {
  set_ext_disk(disk);
  ext2_filsys fs = nullptr;
  constexpr int kFlags = EXT2_FLAG_64BITS;
  errcode_t code = ext2fs_open("disk", kFlags, 0, 0, ext_disk_manager(), &fs);
  if (code == EXT2_ET_BAD_MAGIC || code == EXT2_ET_SHORT_READ) return nullptr;
  if (code != 0) {
    note = fmt::format("Checksums in it do not fit, and are ignored ({}).", ::error_message(code));
    errcode_t again =
        ext2fs_open("disk", kFlags | EXT2_FLAG_IGNORE_CSUM_ERRORS, 0, 0, ext_disk_manager(), &fs);
    if (again != 0) {
      throw Error(again == EXT2_ET_UNSUPP_FEATURE || again == EXT2_ET_RO_UNSUPP_FEATURE
                      ? ErrorCode::unsupported
                      : ErrorCode::corrupt,
                  fmt::format("the ext file system cannot be read: {}", ::error_message(again)));
    }
  }
  return FileSystem(fs);
}

// --- What is in it.

struct Inode : ext2_inode_large {
  ext2_inode* small() {
    return reinterpret_cast<ext2_inode*>(static_cast<ext2_inode_large*>(this));
  }
  uint64_t size() { return EXT2_I_SIZE(small()); }
};

Inode read_inode(ext2_filsys fs, ext2_ino_t number) {
  Inode inode{};
  expect(ext2fs_read_inode_full(fs, number, inode.small(), sizeof(ext2_inode_large)),
         "an inode cannot be read");
  return inode;
}

FileTime time_of(uint32_t seconds, uint32_t extra, bool has_extra) {
  FileTime time{static_cast<int32_t>(seconds), 0};
  if (has_extra) {
    time.seconds += static_cast<int64_t>(extra & 3) << 32;
    time.nanoseconds = std::min(extra >> 2, 999'999'999u);
  }
  return time;
}

Bytes inline_content(ext2_filsys fs, ext2_ino_t number, Inode& inode) {
  size_t size = 0;
  expect(ext2fs_inline_data_size(fs, number, &size), "a small file cannot be read");
  if (size > kMaxInline) throw Error(ErrorCode::corrupt, "a small file is too large");
  Bytes bytes(std::max<size_t>(size, EXT4_MIN_INLINE_DATA_SIZE));
  expect(ext2fs_inline_data_get(fs, number, inode.small(), bytes.data(), &size),
         "a small file cannot be read");
  bytes.resize(size);
  return bytes;
}

struct BlockWalk {
  FileRuns* runs;
  uint64_t block_size;
  std::exception_ptr error;
};

int add_block(ext2_filsys, blk64_t* block, e2_blkcnt_t logical, blk64_t, int, void* data) {
  auto* walk = static_cast<BlockWalk*>(data);
  if (logical < 0 || *block == 0) return 0;
  try {
    walk->runs->add(static_cast<uint64_t>(logical) * walk->block_size, *block * walk->block_size,
                    walk->block_size);
    return 0;
  } catch (...) {
    walk->error = std::current_exception();
    return BLOCK_ABORT;
  }
}

void add_extents(ext2_filsys fs, ext2_ino_t number, Inode& inode, FileRuns& runs) {
  ext2_extent_handle_t opened = nullptr;
  expect(ext2fs_extent_open2(fs, number, inode.small(), &opened), "a file's extents are damaged");
  std::unique_ptr<ext2_extent_handle, void (*)(ext2_extent_handle_t)> handle(opened,
                                                                             ext2fs_extent_free);
  ext2fs_extent extent{};
  for (int step = EXT2_EXTENT_ROOT;; step = EXT2_EXTENT_NEXT) {
    errcode_t code = ext2fs_extent_get(handle.get(), step, &extent);
    if (code == EXT2_ET_EXTENT_NO_NEXT || code == EXT2_ET_NO_CURRENT_NODE) return;
    expect(code, "a file's extents are damaged");
    bool is_leaf = (extent.e_flags & EXT2_EXTENT_FLAGS_LEAF) != 0;
    bool is_used = (extent.e_flags & EXT2_EXTENT_FLAGS_UNINIT) == 0;
    bool is_again = (extent.e_flags & EXT2_EXTENT_FLAGS_SECOND_VISIT) != 0;
    if (!is_leaf || !is_used || is_again) continue;
    uint64_t unit = fs->blocksize;
    runs.add(extent.e_lblk * unit, extent.e_pblk * unit, extent.e_len * unit);
  }
}

std::unique_ptr<FileContent> content_of(ext2_filsys fs, DiskSource& disk, ext2_ino_t number,
                                        Inode& inode) {
  if ((inode.i_flags & EXT4_INLINE_DATA_FL) != 0)
    return std::make_unique<SmallContent>(inline_content(fs, number, inode));
  auto runs = std::make_unique<FileRuns>(disk, inode.size());
  if ((inode.i_flags & EXT4_EXTENTS_FL) != 0) {
    add_extents(fs, number, inode, *runs);
  } else {
    BlockWalk walk{runs.get(), fs->blocksize, nullptr};
    errcode_t code = ext2fs_block_iterate3(fs, number, BLOCK_FLAG_DATA_ONLY | BLOCK_FLAG_READ_ONLY,
                                           nullptr, add_block, &walk);
    if (walk.error) std::rethrow_exception(walk.error);
    expect(code, "a file's list of blocks is damaged");
  }
  runs->close();
  return runs;
}

// As Linux shows access control lists; ext keeps them in a shorter form, without the ids that mean
// nothing.
std::string linux_acl(const std::string& stored) {
  base::ByteReader from(base::as_bytes(stored), "an access control list");
  if (from.u32() != 1) return stored;
  base::ByteWriter to;
  to.u32(2);
  while (from.remaining() > 0) {
    uint16_t tag = from.u16();
    to.u16(tag);
    to.u16(from.u16());
    constexpr uint16_t kUser = 2, kGroup = 8;
    to.u32(tag == kUser || tag == kGroup ? from.u32() : 0xffffffff);
  }
  return std::string(base::as_text(to.bytes()));
}

struct AttributeList {
  std::vector<ExtendedAttribute> all;
  size_t size = 0;
};

int add_attribute(char* name, char* value, size_t size, void* data) {
  auto* list = static_cast<AttributeList*>(data);
  list->size += size;
  if (size > kMaxAttribute || list->size > kMaxAttributes || list->all.size() >= kMaxAttributeCount)
    return XATTR_ABORT;
  if (std::strcmp(name, "system.data") != 0) list->all.push_back({name, std::string(value, size)});
  return 0;
}

struct ListedNames {
  std::vector<FolderEntry> entries;
};

int add_name(ext2_ino_t, int, ext2_dir_entry* entry, int, int, char*, void* data) {
  auto* list = static_cast<ListedNames*>(data);
  auto length = static_cast<size_t>(ext2fs_dirent_name_len(entry));
  list->entries.push_back({std::string(entry->name, length), {0, entry->inode}, 0});
  return 0;
}

class ExtReader : public FileSystemReader {
 public:
  ExtReader(std::unique_ptr<ReplayedDisk> replayed, DiskSource& disk, FileSystem fs,
            FileSystemFacts facts)
      : replayed_(std::move(replayed)), disk_(disk), fs_(std::move(fs)), facts_(std::move(facts)) {}

  const FileSystemFacts& facts() const override { return facts_; }
  NodeId root() const override { return {0, EXT2_ROOT_INO}; }
  Node node(const NodeId& id) override;
  void list(const NodeId& folder, uint64_t cursor,
            const std::function<bool(const FolderEntry&)>& on_entry) override;
  std::vector<ExtendedAttribute> attributes(const NodeId& id) override;
  std::unique_ptr<FileContent> open(const NodeId& id) override;

 private:
  ext2_ino_t number_of(const NodeId& id) const {
    if (id.number == 0 || id.number > fs_->super->s_inodes_count)
      throw Error(ErrorCode::corrupt, "the folder names an inode that does not exist");
    return static_cast<ext2_ino_t>(id.number);
  }
  void list_block(const Bytes& block, uint64_t begin, uint64_t cursor, bool& goes_on,
                  const std::function<bool(const FolderEntry&)>& on_entry) const;
  void list_small(ext2_ino_t number, uint64_t cursor,
                  const std::function<bool(const FolderEntry&)>& on_entry);

  std::unique_ptr<ReplayedDisk> replayed_;  // may be null
  DiskSource& disk_;                        // that, or the disk itself
  FileSystem fs_;
  const FileSystemFacts facts_;
};

Node ExtReader::node(const NodeId& id) {
  ext2_ino_t number = number_of(id);
  Inode inode = read_inode(fs_.get(), number);
  Node node;
  node.kind = kind_of_mode(inode.i_mode);
  node.id = id;
  node.has_owner = true;
  node.mode = inode.i_mode & 07777;
  node.owner = inode_uid(inode);
  node.group = inode_gid(inode);
  node.link_count = inode.i_links_count;
  node.size = node.kind == NodeKind::file || node.kind == NodeKind::link ? inode.size() : 0;
  if (node.size > INT64_MAX) throw Error(ErrorCode::corrupt, "its size is impossible");
  node.stored = ext2fs_inode_i_blocks(fs_.get(), inode.small()) * 512;
  auto has = [&](size_t end) { return inode.i_extra_isize + size_t{128} >= end; };
  node.modified = time_of(inode.i_mtime, inode.i_mtime_extra,
                          has(offsetof(ext2_inode_large, i_mtime_extra) + 4));
  node.changed = time_of(inode.i_ctime, inode.i_ctime_extra,
                         has(offsetof(ext2_inode_large, i_ctime_extra) + 4));
  node.accessed = time_of(inode.i_atime, inode.i_atime_extra,
                          has(offsetof(ext2_inode_large, i_atime_extra) + 4));
  if (has(offsetof(ext2_inode_large, i_crtime_extra) + 4))
    node.born = time_of(inode.i_crtime, inode.i_crtime_extra, true);
  if (node.kind == NodeKind::character_device || node.kind == NodeKind::block_device) {
    uint32_t old = inode.i_block[0], wide = inode.i_block[1];
    node.device_major = old != 0 ? old >> 8 & 0xff : wide >> 8 & 0xfff;
    node.device_minor = old != 0 ? old & 0xff : (wide & 0xff) | (wide >> 12 & 0xfff00);
  }
  if (node.kind == NodeKind::link) {
    if (node.size > 4096) throw Error(ErrorCode::corrupt, "a link's target is too long");
    if (ext2fs_is_fast_symlink(inode.small())) {
      node.target.assign(reinterpret_cast<const char*>(inode.i_block),
                         std::min<size_t>(node.size, sizeof inode.i_block));
    } else {
      auto content = content_of(fs_.get(), disk_, number, inode);
      Bytes bytes(std::min<uint64_t>(content->size(), node.size));
      content->read(0, bytes);
      node.target = base::as_text(bytes);
    }
    node.target = node.target.substr(0, node.target.find('\0'));
  }
  return node;
}

// The entries of a block of a folder. Index blocks of large folders look like unused entries.
void ExtReader::list_block(const Bytes& block, uint64_t begin, uint64_t cursor, bool& goes_on,
                           const std::function<bool(const FolderEntry&)>& on_entry) const {
  constexpr size_t kHead = 8;
  for (size_t at = 0; goes_on && at + kHead <= block.size();) {
    uint32_t inode = base::load_u32(block.data() + at);
    size_t length = static_cast<size_t>(block[at + 4] | block[at + 5] << 8);
    if (block.size() > 65535 && (length == 65535 || length == 0)) length = block.size() - at;
    else if (block.size() >= 65536) length = (length & 65532) | (length & 3) << 16;
    size_t name_size = block[at + 6];
    if (length < kHead || length > block.size() - at || kHead + name_size > length)
      throw Error(ErrorCode::corrupt, "the folder is damaged");
    if (inode != 0 && begin + at >= cursor) {
      auto* name = reinterpret_cast<const char*>(block.data() + at + kHead);
      goes_on = on_entry({std::string(name, name_size), {0, inode}, begin + at + length});
    }
    at += length;
  }
}

void ExtReader::list_small(ext2_ino_t number, uint64_t cursor,
                           const std::function<bool(const FolderEntry&)>& on_entry) {
  ListedNames names;
  expect(ext2fs_dir_iterate2(fs_.get(), number, 0, nullptr, add_name, &names),
         "the folder is damaged");
  for (size_t i = cursor; i < names.entries.size(); ++i) {
    names.entries[i].next = i + 1;
    if (!on_entry(names.entries[i])) return;
  }
}

void ExtReader::list(const NodeId& folder, uint64_t cursor,
                     const std::function<bool(const FolderEntry&)>& on_entry) {
  ext2_ino_t number = number_of(folder);
  Inode inode = read_inode(fs_.get(), number);
  if (!LINUX_S_ISDIR(inode.i_mode)) throw Error(ErrorCode::corrupt, "it is not a folder");
  if ((inode.i_flags & EXT4_ENCRYPT_FL) != 0)
    throw Error(ErrorCode::unsupported, "it is encrypted within the file system (fscrypt)");
  if ((inode.i_flags & EXT4_INLINE_DATA_FL) != 0) {
    list_small(number, cursor, on_entry);
    return;
  }
  if (inode.size() > kMaxFolderSize) throw Error(ErrorCode::corrupt, "the folder is damaged");
  auto content = content_of(fs_.get(), disk_, number, inode);
  uint64_t unit = fs_->blocksize;
  Bytes block(unit);
  bool goes_on = true;
  for (uint64_t begin = cursor / unit * unit; goes_on && begin + unit <= content->size();
       begin += unit) {
    content->read(begin, block);
    if (!base::is_all_zero(block)) list_block(block, begin, cursor, goes_on, on_entry);
  }
}

std::vector<ExtendedAttribute> ExtReader::attributes(const NodeId& id) {
  ext2_xattr_handle* opened = nullptr;
  expect(ext2fs_xattrs_open(fs_.get(), number_of(id), &opened), "extended attributes are damaged");
  AttributeList list;
  errcode_t code = ext2fs_xattrs_read(opened);
  if (code == 0) code = ext2fs_xattrs_iterate(opened, add_attribute, &list);
  ext2fs_xattrs_close(&opened);
  expect(code, "extended attributes are damaged");
  for (ExtendedAttribute& each : list.all) {
    if (each.name.starts_with("system.posix_acl_")) each.value = linux_acl(each.value);
  }
  return std::move(list.all);
}

std::unique_ptr<FileContent> ExtReader::open(const NodeId& id) {
  ext2_ino_t number = number_of(id);
  Inode inode = read_inode(fs_.get(), number);
  if ((inode.i_flags & EXT4_ENCRYPT_FL) != 0)
    throw Error(ErrorCode::unsupported, "it is encrypted within the file system (fscrypt)");
  return content_of(fs_.get(), disk_, number, inode);
}

FileSystemFacts facts_of(ext2_filsys fs) {
  const ext2_super_block& super = *fs->super;
  FileSystemFacts facts;
  bool is_new = ext2fs_has_feature_extents(fs->super) || ext2fs_has_feature_64bit(fs->super) ||
                ext2fs_has_feature_flex_bg(fs->super) || ext2fs_has_feature_huge_file(fs->super) ||
                ext2fs_has_feature_inline_data(fs->super);
  facts.type = is_new ? "ext4" : ext2fs_has_feature_journal(fs->super) ? "ext3" : "ext2";
  auto* label = reinterpret_cast<const char*>(super.s_volume_name);
  facts.label = base::clean_text({label, ::strnlen(label, sizeof super.s_volume_name)}, 64);
  facts.uuid = uuid_text({super.s_uuid, sizeof super.s_uuid});
  facts.size = ext2fs_blocks_count(fs->super) * fs->blocksize;
  if ((super.s_state & EXT2_ERROR_FS) != 0)
    facts.notes.emplace_back("The machine had found errors in it.");
  return facts;
}

// The journal's blocks, unless it is empty. Notes what cannot be replayed.
JournalReplay replay_of(ext2_filsys fs, DiskSource& disk, FileSystemFacts& facts) {
  if (!ext2fs_has_feature_journal(fs->super) ||
      !ext2fs_has_feature_journal_needs_recovery(fs->super))
    return {};
  ext2_ino_t number = fs->super->s_journal_inum;
  if (number == 0) {
    facts.notes.emplace_back(
        "Its journal is on another disk and is not replayed: changes of the last seconds may be "
        "missing or incomplete.");
    return {};
  }
  try {
    Inode inode = read_inode(fs, number);
    auto journal = content_of(fs, disk, number, inode);
    auto place_of = [&](uint64_t block) {
      blk64_t place = 0;
      expect(ext2fs_bmap2(fs, number, inode.small(), nullptr, 0, block, nullptr, &place),
             "the journal is damaged");
      if (place == 0 || place >= disk.size() / fs->blocksize)
        throw Error(ErrorCode::corrupt, "the journal is damaged");
      return static_cast<uint64_t>(place) * fs->blocksize;
    };
    JournalReplay replay = read_journal(*journal, fs->blocksize, place_of);
    if (!replay.note.empty()) facts.notes.push_back(replay.note);
    return replay;
  } catch (const Error& error) {
    facts.notes.push_back(
        fmt::format("Its journal cannot be replayed ({}): changes of the last seconds may be "
                    "missing or incomplete.",
                    error.message()));
    return {};
  }
}

}  // namespace

std::unique_ptr<FileSystemReader> open_ext(DiskSource& disk) {
  constexpr uint64_t kSuperblock = 1024;
  if (disk.size() < 2 * kSuperblock) return nullptr;
  Bytes head = read_bytes(disk, kSuperblock, kSuperblock, "the superblock");
  if (head[56] != 0x53 || head[57] != 0xef) return nullptr;
  initialize_ext2_error_table();
  std::string note;
  FileSystem fs = open_on(disk, note);
  if (!fs) return nullptr;
  FileSystemFacts facts = facts_of(fs.get());
  JournalReplay replay = replay_of(fs.get(), disk, facts);
  std::unique_ptr<ReplayedDisk> replayed;
  if (!replay.blocks.empty()) {
    replayed = std::make_unique<ReplayedDisk>(disk, std::move(replay));
    fs = open_on(*replayed, note);
    if (!fs) throw Error(ErrorCode::corrupt, "its journal replaces its superblock by other bytes");
  }
  if (!note.empty()) facts.notes.push_back(note);
  DiskSource& read = replayed ? static_cast<DiskSource&>(*replayed) : disk;
  return std::make_unique<ExtReader>(std::move(replayed), read, std::move(fs), std::move(facts));
}

}  // namespace images::files
