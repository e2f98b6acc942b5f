// The parts of XFS's layout that reading needs: versions 4 and 5, with all features that mkfs.xfs
// 6.1 knows. Source: "XFS Algorithms & Data Structures", third edition; the kernel's
// fs/xfs/libxfs/xfs_format.h and xfs_da_format.h for what is newer. Hostile input; pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "images/files/node.h"

namespace images::files::xfs {

struct Superblock {
  uint32_t block_size = 0, group_blocks = 0, group_count = 0, folder_block_size = 0;
  uint32_t inode_size = 0, inodes_per_block = 0;
  uint8_t block_log = 0, inodes_log = 0, group_log = 0;
  uint64_t block_count = 0, root = 0, log_start = 0;
  uint32_t log_blocks = 0;
  bool is_new = false;     // version 5: structures begin with larger headers
  bool has_kinds = false;  // entries of folders tell the kind
  bool needs_repair = false;
  std::string label, uuid;

  // Byte places; nothing for a number that is not in the file system.
  std::optional<uint64_t> place_of_block(uint64_t block) const;
  std::optional<uint64_t> place_of_inode(uint64_t number) const;
};

// Nothing if it is none. Throws corrupt or unsupported.
std::optional<Superblock> parse_superblock(base::ByteView bytes);

enum class Fork : uint8_t { device, local, extents, tree, other };

struct Inode {
  uint16_t mode = 0, flags = 0;
  uint32_t owner = 0, group = 0, link_count = 0;
  uint64_t size = 0, block_count = 0;
  FileTime accessed, modified, changed, born;
  Fork data_kind = Fork::other, attribute_kind = Fork::other;
  base::Bytes data, attributes;  // the forks, as they are in the inode
  uint64_t data_extents = 0, attribute_extents = 0;
};
Inode parse_inode(base::ByteView bytes, const Superblock& super);

struct Extent {
  uint64_t offset = 0, block = 0, count = 0;  // blocks: in the file, of the file system
  bool is_written = true;
};
Extent parse_extent(base::ByteView bytes, uint64_t at);

}  // namespace images::files::xfs
