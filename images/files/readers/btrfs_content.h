// The content of a file of Btrfs: extents, inline data, and compression (zlib, LZO, zstd). Hostile
// input; not thread-safe.
#pragma once

#include "images/files/readers/btrfs_trees.h"
#include "images/files/readers/file_system_reader.h"

namespace images::files::btrfs {

class Content : public FileContent {
 public:
  // `trees` must outlive it. Throws corrupt.
  Content(Trees& trees, const Trees::Root& volume, uint64_t inode, uint64_t size);

  uint64_t size() const override { return size_; }
  void read(uint64_t offset, base::MutableByteView out) override;
  std::vector<DataRange> ranges(size_t limit) override;

 private:
  struct Extent {
    uint64_t begin = 0, length = 0;          // bytes, in the file
    uint64_t address = 0, stored_size = 0;   // of what is stored
    uint64_t offset = 0, unpacked_size = 0;  // where in it the part begins; what it unpacks to
    uint8_t compression = 0;
    base::Bytes small;  // inline: what is stored
  };
  void add(const Key& key, base::ByteView data);
  void read_extent(const Extent& extent, uint64_t from, base::MutableByteView out);
  const base::Bytes& unpacked(const Extent& extent);

  Trees& trees_;
  const uint64_t size_;
  std::vector<Extent> extents_;
  uint64_t unpacked_begin_ = UINT64_MAX;  // of the extent that is in unpacked_
  base::Bytes unpacked_;
};

// Throws corrupt unless it unpacks to at most `size` bytes; the result is filled up with zeros.
base::Bytes unpack(uint8_t compression, base::ByteView stored, uint64_t size, uint32_t sector_size);

}  // namespace images::files::btrfs
