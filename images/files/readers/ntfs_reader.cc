// NTFS through libntfs-3g, as ntfs-3g itself reads it: also compressed and sparse files. Windows'
// access control lists and named streams become the extended attributes that ntfs-3g would show
// ("system.ntfs_acl", "user.NAME"), so that they can be set again through it. The log ($LogFile) is
// not replayed; this is said.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <list>

#include "base/clean_text.h"
#include "base/error.h"
#include "images/files/readers/file_runs.h"
#include "images/files/readers/file_system_reader.h"
#include "images/files/readers/ntfs_disk.h"
#include "images/files/readers/text_values.h"

// After the C++ library's: types.h defines macros of common names.
extern "C" {
#include <ntfs-3g/types.h>
// Needs that:
#include <ntfs-3g/attrib.h>
#include <ntfs-3g/device.h>
#include <ntfs-3g/dir.h>
#include <ntfs-3g/inode.h>
#include <ntfs-3g/logging.h>
#include <ntfs-3g/reparse.h>
#include <ntfs-3g/security.h>
#include <ntfs-3g/volume.h>
}
#undef min
#undef max

namespace images::files {
namespace {

using base::Bytes;
using base::Error;
using base::ErrorCode;

constexpr int64_t kTicksUntil1970 = 116'444'736'000'000'000;  // of 100 ns, since 1601
constexpr uint32_t kTagMountPoint = 0xa0000003, kTagSymlink = 0xa000000c, kTagDedup = 0x80000013,
                   kTagCompressed = 0x80000017;

[[noreturn]] void fail(const char* what) {
  int number = errno;
  ErrorCode code = number == EOPNOTSUPP ? ErrorCode::unsupported : ErrorCode::corrupt;
  throw Error(code, fmt::format("{}: {}", what, std::strerror(number)));
}

int log_nothing(const char*, const char*, int, u32, void*, const char*, va_list) { return 0; }

// --- What is in it.

struct CloseInode {
  void operator()(ntfs_inode* inode) const { ntfs_inode_close(inode); }
};
using Inode = std::unique_ptr<ntfs_inode, CloseInode>;
struct CloseAttribute {
  void operator()(ntfs_attr* attribute) const { ntfs_attr_close(attribute); }
};
using Attribute = std::unique_ptr<ntfs_attr, CloseAttribute>;
struct CloseSearch {
  void operator()(ntfs_attr_search_ctx* search) const { ntfs_attr_put_search_ctx(search); }
};

FileTime time_of(ntfs_time value) {
  int64_t ticks = static_cast<int64_t>(sle64_to_cpu(value));
  if (ticks <= 0) return {};
  ticks -= kTicksUntil1970;
  int64_t seconds = ticks / 10'000'000, rest = ticks % 10'000'000;
  if (rest < 0) {
    rest += 10'000'000;
    --seconds;
  }
  return {seconds, static_cast<uint32_t>(rest) * 100};
}

// Which reparse point it is, and of a link its target as Windows shows it.
struct Reparse {
  uint32_t tag = 0;
  std::string target;
};

Reparse reparse_of(ntfs_inode* inode) {
  std::vector<char> buffer(64 << 10);
  int size = ntfs_get_ntfs_reparse_data(inode, buffer.data(), buffer.size());
  if (size < 8) fail("a reparse point cannot be read");
  base::ByteReader from({reinterpret_cast<const uint8_t*>(buffer.data()),
                         std::min(static_cast<size_t>(size), buffer.size())},
                        "a reparse point");
  Reparse reparse{from.u32(), {}};
  from.u32();
  if (reparse.tag != kTagMountPoint && reparse.tag != kTagSymlink) return reparse;
  uint64_t name_offset = from.u16(), name_size = from.u16();
  uint64_t shown_offset = from.u16(), shown_size = from.u16();
  if (reparse.tag == kTagSymlink) from.u32();
  base::ByteView names = from.view(from.remaining());
  if (shown_size == 0) {
    shown_offset = name_offset;
    shown_size = name_size;
  }
  if (shown_offset + shown_size > names.size()) from.fail("a name beyond its end");
  reparse.target = utf8_of_utf16(names.subspan(shown_offset, shown_size));
  reparse.target = reparse.target.substr(0, reparse.target.find('\0'));
  return reparse;
}

// Of what cannot be read through libntfs-3g alone; empty: it can.
std::string obstacle_of(uint32_t tag) {
  switch (tag) {
    case kTagDedup: return "Windows keeps its data in the deduplication store, which is not read";
    case kTagCompressed: return "Windows keeps it compressed (WOF, Compact OS), which is not read";
    default:
      // Cloud files (OneDrive) have sixteen tags.
      if ((tag & 0xffff0fff) == 0x9000001a) return "its data may be in the cloud only (OneDrive)";
      return fmt::format("it is a reparse point of a kind that is not read (0x{:08x})", tag);
  }
}

class NtfsContent : public FileContent {
 public:
  NtfsContent(Inode inode, Attribute data, uint32_t cluster_size)
      : inode_(std::move(inode)), data_(std::move(data)), cluster_size_(cluster_size) {}

  uint64_t size() const override { return static_cast<uint64_t>(data_->data_size); }

  void read(uint64_t offset, base::MutableByteView out) override {
    while (!out.empty()) {
      errno = EIO;
      s64 count = ntfs_attr_pread(data_.get(), static_cast<s64>(offset),
                                  static_cast<s64>(out.size()), out.data());
      if (count <= 0) fail("it cannot be read");
      offset += static_cast<uint64_t>(count);
      out = out.subspan(static_cast<size_t>(count));
    }
  }

  std::vector<DataRange> ranges(size_t limit) override {
    uint64_t all = size();
    if (all == 0) return {};
    bool is_plain = !NAttrNonResident(data_.get()) || NAttrCompressed(data_.get());
    if (is_plain) return {{0, all}};
    if (ntfs_attr_map_whole_runlist(data_.get()) != 0) fail("its list of clusters is damaged");
    std::vector<DataRange> found;
    uint64_t known = static_cast<uint64_t>(std::max<s64>(data_->initialized_size, 0));
    for (runlist_element* run = data_->rl; run != nullptr && run->length > 0; ++run) {
      uint64_t begin = static_cast<uint64_t>(run->vcn) * cluster_size_;
      uint64_t end =
          std::min({begin + static_cast<uint64_t>(run->length) * cluster_size_, all, known});
      if (run->lcn < 0 || begin >= end) continue;
      if (!found.empty() && found.back().offset + found.back().length == begin)
        found.back().length = end - found.back().offset;
      else found.push_back({begin, end - begin});
    }
    return merged(std::move(found), limit);
  }

 private:
  const Inode inode_;
  const Attribute data_;
  const uint64_t cluster_size_;
};

struct ListState {
  const std::function<bool(const FolderEntry&)>* on_entry;
  std::exception_ptr error;
  bool is_enough = false;  // then ntfs_readdir() ends as if it had failed
};

int add_name(void* data, const ntfschar* name, int length, int type, s64, MFT_REF reference,
             unsigned) {
  auto* state = static_cast<ListState*>(data);
  constexpr int kDosNameOnly = 2;
  uint64_t number = MREF(reference);
  if (type == kDosNameOnly || (number < FILE_first_user && number != FILE_root)) return 0;
  if (number >= FILE_first_user && number < 24) return 0;  // reserved by Windows
  try {
    FolderEntry entry;
    entry.name = utf8_of_utf16(
        {reinterpret_cast<const uint8_t*>(name), static_cast<size_t>(length) * sizeof(ntfschar)});
    entry.id = {0, reference};
    state->is_enough = !(*state->on_entry)(entry);
    return state->is_enough ? 1 : 0;
  } catch (...) {
    state->error = std::current_exception();
    return 1;
  }
}

// Links as Interix and ntfs-3g make them: a system file that begins with a mark.
void add_interix(ntfs_inode* inode, Node& node) {
  constexpr std::string_view kMark("IntxLNK\1", 8);
  constexpr uint64_t kMaxSize = 8 + 2 * 4096;
  if (node.size <= kMark.size() || node.size > kMaxSize) return;
  Attribute data(ntfs_attr_open(inode, AT_DATA, AT_UNNAMED, 0));
  Bytes bytes(node.size);
  if (!data || ntfs_attr_pread(data.get(), 0, static_cast<s64>(bytes.size()), bytes.data()) !=
                   static_cast<s64>(bytes.size()))
    return;
  if (!base::as_text(bytes).starts_with(kMark)) return;
  node.kind = NodeKind::link;
  node.mode = 0777;
  node.size = 0;
  node.target = utf8_of_utf16(base::ByteView(bytes).subspan(kMark.size()));
  node.target = node.target.substr(0, node.target.find('\0'));
}

// DOS names ("PROGRA~1") count as links in the file table; they are not.
uint32_t link_count(ntfs_inode* inode) {
  std::unique_ptr<ntfs_attr_search_ctx, CloseSearch> search(
      ntfs_attr_get_search_ctx(inode, nullptr));
  if (!search) fail("its names cannot be read");
  uint32_t count = 0;
  while (ntfs_attr_lookup(AT_FILE_NAME, nullptr, 0, CASE_SENSITIVE, 0, nullptr, 0, search.get()) ==
         0) {
    const ATTR_RECORD* record = search->attr;
    uint32_t offset = le16_to_cpu(record->value_offset);
    if (record->non_resident != 0 || offset + sizeof(FILE_NAME_ATTR) > le32_to_cpu(record->length))
      continue;
    auto* name =
        reinterpret_cast<const FILE_NAME_ATTR*>(reinterpret_cast<const uint8_t*>(record) + offset);
    if (name->file_name_type != FILE_NAME_DOS) ++count;
  }
  return std::max(count, 1u);
}

class NtfsReader : public FileSystemReader {
 public:
  NtfsReader(std::unique_ptr<NtfsDisk> state, ntfs_volume* volume, FileSystemFacts facts)
      : state_(std::move(state)), volume_(volume), facts_(std::move(facts)) {}
  ~NtfsReader() override { ntfs_umount(volume_, TRUE); }

  const FileSystemFacts& facts() const override { return facts_; }
  NodeId root() const override { return {0, FILE_root}; }
  bool ignores_case() const override { return true; }
  Node node(const NodeId& id) override;
  void list(const NodeId& folder, uint64_t cursor,
            const std::function<bool(const FolderEntry&)>& on_entry) override;
  std::vector<ExtendedAttribute> attributes(const NodeId& id) override;
  std::unique_ptr<FileContent> open(const NodeId& id) override;

 private:
  Inode inode(const NodeId& id) {
    errno = EIO;
    Inode opened(ntfs_inode_open(volume_, id.number));
    if (!opened) fail("a record of the file table cannot be read");
    return opened;
  }
  void read_folder(const NodeId& folder, const std::function<bool(const FolderEntry&)>& on_entry);
  void add_streams(ntfs_inode* inode, std::vector<ExtendedAttribute>& to, size_t& total);

  static constexpr size_t kMaxKept = 300'000;  // names, of all listings
  struct Listing {
    NodeId folder;
    std::shared_ptr<const std::vector<FolderEntry>> entries;
  };
  std::unique_ptr<NtfsDisk> state_;
  ntfs_volume* volume_;
  const FileSystemFacts facts_;
  std::list<Listing> kept_;  // the last used first
};

Node NtfsReader::node(const NodeId& id) {
  Inode opened = inode(id);
  bool is_folder = (opened->mrec->flags & MFT_RECORD_IS_DIRECTORY) != const_cpu_to_le16(0);
  Node node;
  node.id = id;
  node.kind = is_folder ? NodeKind::folder : NodeKind::file;
  node.mode = is_folder ? 0755 : 0644;
  bool is_read_only = (opened->flags & FILE_ATTR_READONLY) != const_cpu_to_le32(0);
  if (!is_folder && is_read_only) node.mode = 0444;
  node.link_count = le16_to_cpu(opened->mrec->link_count);
  if (!is_folder && opened->data_size >= 0) node.size = static_cast<uint64_t>(opened->data_size);
  if (opened->allocated_size >= 0) node.stored = static_cast<uint64_t>(opened->allocated_size);
  node.modified = time_of(opened->last_data_change_time);
  node.changed = time_of(opened->last_mft_change_time);
  node.accessed = time_of(opened->last_access_time);
  node.born = time_of(opened->creation_time);
  if ((opened->flags & FILE_ATTR_REPARSE_POINT) != const_cpu_to_le32(0)) {
    Reparse reparse = reparse_of(opened.get());
    if (reparse.tag == kTagMountPoint || reparse.tag == kTagSymlink) {
      node.kind = NodeKind::link;
      node.target = reparse.target;
      node.size = 0;
      node.mode = 0777;
    }
  }
  bool is_system = (opened->flags & FILE_ATTR_SYSTEM) != const_cpu_to_le32(0);
  if (node.kind == NodeKind::file && is_system) add_interix(opened.get(), node);
  if (node.kind == NodeKind::file && node.link_count > 1)
    node.link_count = link_count(opened.get());
  return node;
}

void NtfsReader::read_folder(const NodeId& folder,
                             const std::function<bool(const FolderEntry&)>& on_entry) {
  Inode opened = inode(folder);
  if ((opened->mrec->flags & MFT_RECORD_IS_DIRECTORY) == const_cpu_to_le16(0))
    throw Error(ErrorCode::corrupt, "it is not a folder");
  ListState state{&on_entry, nullptr, false};
  s64 place = 0;
  errno = EIO;
  int result = ntfs_readdir(opened.get(), &place, &state, add_name);
  if (state.error) std::rethrow_exception(state.error);
  if (result < 0 && !state.is_enough) fail("the folder is damaged");
}

// ntfs_readdir() fails at the end of a folder if it did not begin at its start. So a folder is read
// as a whole, and the last ones are kept; one that is too large for that is read from its start
// each time. The cursor counts names.
void NtfsReader::list(const NodeId& folder, uint64_t cursor,
                      const std::function<bool(const FolderEntry&)>& on_entry) {
  auto kept = std::find_if(kept_.begin(), kept_.end(),
                           [&](const Listing& each) { return each.folder == folder; });
  if (kept == kept_.end()) {
    std::vector<FolderEntry> read;
    bool is_whole = true;
    read_folder(folder, [&](const FolderEntry& entry) {
      is_whole = read.size() < kMaxKept;
      if (is_whole) read.push_back(entry);
      return is_whole;
    });
    if (!is_whole) {
      uint64_t number = 0;
      read_folder(folder, [&](const FolderEntry& entry) {
        if (number++ < cursor) return true;
        return on_entry({entry.name, entry.id, number});
      });
      return;
    }
    kept_.push_front({folder, std::make_shared<std::vector<FolderEntry>>(std::move(read))});
    size_t total = 0;
    for (auto each = kept_.begin(); each != kept_.end();) {
      total += each->entries->size();
      each = total > kMaxKept && each != kept_.begin() ? kept_.erase(each) : std::next(each);
    }
    kept = kept_.begin();
  } else {
    kept_.splice(kept_.begin(), kept_, kept);
  }
  auto entries = kept->entries;  // the call may read other folders
  for (uint64_t i = cursor; i < entries->size(); ++i) {
    if (!on_entry({(*entries)[i].name, (*entries)[i].id, i + 1})) return;
  }
}

void NtfsReader::add_streams(ntfs_inode* opened, std::vector<ExtendedAttribute>& to,
                             size_t& total) {
  std::unique_ptr<ntfs_attr_search_ctx, CloseSearch> search(
      ntfs_attr_get_search_ctx(opened, nullptr));
  if (!search) fail("its attributes cannot be read");
  struct Name {
    std::vector<ntfschar> units;
  };
  std::vector<Name> names;
  while (ntfs_attr_lookup(AT_DATA, nullptr, 0, CASE_SENSITIVE, 0, nullptr, 0, search.get()) == 0) {
    const ATTR_RECORD* record = search->attr;
    if (record->name_length == 0 || (record->non_resident != 0 && record->lowest_vcn != 0))
      continue;
    auto* begin = reinterpret_cast<const ntfschar*>(reinterpret_cast<const uint8_t*>(record) +
                                                    le16_to_cpu(record->name_offset));
    if (names.size() < kMaxAttributeCount)
      names.push_back({std::vector<ntfschar>(begin, begin + record->name_length)});
  }
  for (Name& name : names) {
    Attribute stream(
        ntfs_attr_open(opened, AT_DATA, name.units.data(), static_cast<u32>(name.units.size())));
    if (!stream) fail("a named stream cannot be read");
    std::string text = utf8_of_utf16({reinterpret_cast<const uint8_t*>(name.units.data()),
                                      name.units.size() * sizeof(ntfschar)});
    auto size = static_cast<uint64_t>(std::max<s64>(stream->data_size, 0));
    total += size;
    if (size > kMaxAttribute || total > kMaxAttributes)
      throw Error(ErrorCode::unsupported,
                  fmt::format("its stream '{}' is larger than {} KiB and is left out",
                              base::clean_text(text, 100), kMaxAttribute >> 10));
    ExtendedAttribute made{"user." + text, std::string(size, '\0')};
    if (size > 0 && ntfs_attr_pread(stream.get(), 0, static_cast<s64>(size), made.value.data()) !=
                        static_cast<s64>(size))
      fail("a named stream cannot be read");
    to.push_back(std::move(made));
  }
}

std::vector<ExtendedAttribute> NtfsReader::attributes(const NodeId& id) {
  Inode opened = inode(id);
  std::vector<ExtendedAttribute> all;
  size_t total = 0;
  SECURITY_CONTEXT context{};
  context.vol = volume_;
  std::string list(kMaxAttribute, '\0');
  int size = ntfs_get_ntfs_acl(&context, opened.get(), list.data(), list.size());
  if (size > 0 && static_cast<size_t>(size) <= list.size()) {
    list.resize(static_cast<size_t>(size));
    total += list.size();
    all.push_back({"system.ntfs_acl", std::move(list)});
  }
  uint32_t flags = le32_to_cpu(opened->flags & FILE_ATTR_VALID_FLAGS);
  std::string value(4, '\0');
  base::store_u32(reinterpret_cast<uint8_t*>(value.data()), flags);
  all.push_back({"system.ntfs_attrib", std::move(value)});
  add_streams(opened.get(), all, total);
  return all;
}

std::unique_ptr<FileContent> NtfsReader::open(const NodeId& id) {
  Inode opened = inode(id);
  if ((opened->flags & FILE_ATTR_REPARSE_POINT) != const_cpu_to_le32(0)) {
    Reparse reparse = reparse_of(opened.get());
    throw Error(ErrorCode::unsupported, obstacle_of(reparse.tag));
  }
  errno = EIO;
  Attribute data(ntfs_attr_open(opened.get(), AT_DATA, AT_UNNAMED, 0));
  if (!data) {
    if (errno == ENOENT) return std::make_unique<SmallContent>(Bytes());
    fail("it cannot be read");
  }
  if ((data->data_flags & ATTR_IS_ENCRYPTED) != const_cpu_to_le16(0))
    throw Error(ErrorCode::unsupported, "it is encrypted by Windows (EFS)");
  if (data->data_size < 0) throw Error(ErrorCode::corrupt, "its size is impossible");
  return std::make_unique<NtfsContent>(std::move(opened), std::move(data), volume_->cluster_size);
}

FileSystemFacts facts_of(ntfs_volume* volume) {
  FileSystemFacts facts{.type = "ntfs"};
  if (volume->vol_name != nullptr) facts.label = base::clean_text(volume->vol_name, 64);
  facts.size = static_cast<uint64_t>(volume->nr_clusters) * volume->cluster_size;
  if ((volume->flags & VOLUME_IS_DIRTY) != const_cpu_to_le16(0))
    facts.notes.emplace_back(
        "Windows had not closed it, and its log is not replayed: what was changed in the last "
        "seconds may be missing or incomplete.");
  if (ntfs_volume_check_hiberfile(volume, 0) != 0)
    facts.notes.emplace_back(
        "Windows was hibernated, or shut down with 'fast startup': what it kept in memory is not "
        "in it.");
  return facts;
}

}  // namespace

std::unique_ptr<FileSystemReader> open_ntfs(DiskSource& disk) {
  constexpr uint64_t kBootSector = 512;
  if (disk.size() < kBootSector) return nullptr;
  Bytes boot = read_bytes(disk, 0, kBootSector, "the boot sector");
  if (base::as_text(boot).substr(3, 8) != "NTFS    ") return nullptr;
  ntfs_log_set_handler(log_nothing);
  auto state = std::make_unique<NtfsDisk>();
  state->disk = &disk;
  ntfs_device* device = make_ntfs_device(*state);
  if (device == nullptr) fail("NTFS cannot be opened");
  errno = EIO;
  ntfs_volume* volume =
      ntfs_device_mount(device, NTFS_MNT_RDONLY | NTFS_MNT_FORENSIC | NTFS_MNT_IGNORE_HIBERFILE);
  if (volume == nullptr) {
    int number = errno;
    ntfs_device_free(device);
    errno = number;
    fail("NTFS is damaged, or of a kind that is not read");
  }
  std::string serial;
  for (int i = 7; i >= 0; --i) serial += fmt::format("{:02X}", boot[static_cast<size_t>(72 + i)]);
  FileSystemFacts facts = facts_of(volume);
  facts.uuid = serial;
  return std::make_unique<NtfsReader>(std::move(state), volume, std::move(facts));
}

}  // namespace images::files
