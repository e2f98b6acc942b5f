// Addresses and trees of Btrfs: chunks on one or several devices, nodes with their checksums, where
// a damaged copy is made up for by another one. Not thread-safe.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>

#include "images/disk_source.h"
#include "images/files/readers/btrfs_format.h"

namespace images::files::btrfs {

class Trees {
 public:
  // `devices` are by their number; they must outlive it. Throws corrupt, io.
  Trees(Superblock super, std::map<uint64_t, DiskSource*> devices);

  const Superblock& super() const { return super_; }

  // Bytes at an address. Throws corrupt or io if no copy can be read.
  void read(uint64_t address, base::MutableByteView out);

  struct Root {
    uint64_t address = 0;
    uint8_t level = 0;
  };
  Root root_tree() const { return {super_.root, super_.root_level}; }
  // Of a subvolume or another tree. Throws corrupt if there is none.
  Root find_tree(uint64_t number);

  // Calls for each item from `first` on, in order, until it returns false. Throws corrupt.
  void each(const Root& root, const Key& first,
            const std::function<bool(const Key&, base::ByteView)>& call);

 private:
  using Node = std::shared_ptr<const base::Bytes>;
  Node node(uint64_t address, uint8_t level);
  bool visit(uint64_t address, uint8_t level, const Key& first,
             const std::function<bool(const Key&, base::ByteView)>& call);
  const Chunk& chunk_of(uint64_t address) const;
  bool read_copy(uint64_t address, size_t number, base::MutableByteView out);
  void add_chunks();

  const Superblock super_;
  const std::map<uint64_t, DiskSource*> devices_;
  std::map<uint64_t, Chunk> chunks_;
  std::map<uint64_t, Root> known_;
  std::list<std::pair<uint64_t, Node>> cache_;  // the newest first
};

}  // namespace images::files::btrfs
