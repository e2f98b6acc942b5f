// One file system, read in user space without changing anything. Implementations: ext_reader (ext2,
// ext3, ext4), xfs_reader, btrfs_reader, ntfs_reader, fat_reader, exfat_reader. All run in the
// program muletto-files: what they read is hostile, and they can do no harm because that program has
// no privileges, not because they are free of bugs. Still, each bounds its memory and its loops.
// Errors: corrupt (damaged there), unsupported (with what it is), io. Not thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "images/disk_source.h"
#include "images/files/node.h"

namespace images::files {

// The content of one file. May use its reader, which must outlive it.
class FileContent {
 public:
  virtual ~FileContent() = default;

  virtual uint64_t size() const = 0;  // bytes
  // Fills `out`; all of it is within the size.
  virtual void read(uint64_t offset, base::MutableByteView out) = 0;
  // Where data is, in order, within the size. What is not in it reads as zeros. At most `limit`:
  // holes beyond that number count as data.
  virtual std::vector<DataRange> ranges(size_t limit) = 0;
};

struct FolderEntry {
  std::string name;  // bytes; nothing is sure about it
  NodeId id;
  uint64_t next = 0;  // the cursor of what follows
};

struct FileSystemFacts {
  std::string type;
  std::string label, uuid;
  uint64_t size = 0;  // bytes
  std::vector<std::string> notes;
};

class FileSystemReader {
 public:
  virtual ~FileSystemReader() = default;

  virtual const FileSystemFacts& facts() const = 0;
  virtual NodeId root() const = 0;
  // Without extended attributes.
  virtual Node node(const NodeId& id) = 0;
  // Calls `on_entry` for each entry at or after `cursor` (0: the beginning), "." and ".." included or
  // not, until it returns false. The order is the folder's own and does not change.
  virtual void list(const NodeId& folder, uint64_t cursor,
                    const std::function<bool(const FolderEntry&)>& on_entry) = 0;
  virtual std::vector<ExtendedAttribute> attributes(const NodeId& id) = 0;
  virtual std::unique_ptr<FileContent> open(const NodeId& id) = 0;
  // Whether names that differ only in case are one name.
  virtual bool ignores_case() const { return false; }
};

// Each returns null if there is no such file system on `disk`, which must outlive the reader. They
// throw corrupt or unsupported if there is one that cannot be read.
std::unique_ptr<FileSystemReader> open_ext(DiskSource& disk);
std::unique_ptr<FileSystemReader> open_xfs(DiskSource& disk);
std::unique_ptr<FileSystemReader> open_ntfs(DiskSource& disk);
std::unique_ptr<FileSystemReader> open_fat(DiskSource& disk);
std::unique_ptr<FileSystemReader> open_exfat(DiskSource& disk);

// Btrfs may lie on several disks: `disks` are all that might belong to it, `disk` among them.
std::unique_ptr<FileSystemReader> open_btrfs(DiskSource& disk,
                                             const std::vector<DiskSource*>& disks);

}  // namespace images::files
