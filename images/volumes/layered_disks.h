// What the readers of LVM, RAID and encryption share: the map that they build, and reads of what is
// in it so far. Not thread-safe.
#pragma once

#include <string>
#include <vector>

#include "images/disk_source.h"
#include "images/volumes/volume_map.h"

namespace images::volumes {

// Something that may hold a file system or a part of a volume: a partition, a bare disk, an array.
struct Block {
  std::string name;  // for people: "vda3", "vg0/root"; bounded, printable
  Source source = kNoSource;
};

// A volume that cannot be looked into.
struct Unread {
  std::string name;
  std::string why;         // words for "vda3 was not checked: ..."
  bool needs_key = false;  // it is encrypted, and no key opens it
};

class LayeredDisks {
 public:
  // `disks` must outlive it.
  explicit LayeredDisks(std::vector<DiskSource*> disks);

  const VolumeMap& map() const { return map_; }
  uint64_t size_of(Source source) const { return map_.size_of(source); }
  // The bytes at `offset`; empty if they are not all there. Throws what the disks throw.
  base::Bytes read(Source source, uint64_t offset, uint64_t size) const;

  // Adds the layer, whose size is the sum of its segments, and returns it. Throws corrupt unless it
  // fits on what is below, as validate() does.
  Source add(std::vector<Segment> segments, std::optional<Cipher> cipher = std::nullopt);
  Source add_linear(Source below, uint64_t offset, uint64_t length);

  VolumeMap take() { return std::move(map_); }

 private:
  const std::vector<DiskSource*> disks_;
  VolumeMap map_;
};

// A name from a disk, as it may be shown and used as a name: at most 100 bytes.
std::string clean_name(std::string_view name);

}  // namespace images::volumes
