// Finds the volumes on a point's disks: what LVM, software RAID, LUKS and BitLocker make of its
// partitions, in any order on one another (LVM on LUKS on RAID). It reads hostile bytes and holds
// keys, so the program muletto-volumes runs it, confined (base/confinement.h). The messages between
// that program and the appliance are here, too. Functions; thread-safe.
#pragma once

#include <string>
#include <vector>

#include "images/volumes/keys/volume_key.h"
#include "images/volumes/layered_disks.h"

namespace images::volumes {

// A partition or a bare disk, where the search begins.
struct Part {
  std::string name;  // "vda3"
  uint32_t disk = 0;
  uint64_t offset = 0, size = 0;
};

struct Question {
  std::vector<uint64_t> disk_sizes;  // the disks lie one after the other in one file
  std::vector<Part> parts;
  std::vector<VolumeKey> keys;
};

struct FoundVolume {
  std::string name;  // "vg0/root", "md/0", "vda3:luks"
  // What it lies on, for people: "LVM on LUKS on vda3".
  std::string origin;
  Source source = kNoSource;    // of the map
  bool is_partitioned = false;  // it may hold a table of partitions, as an array does
};

struct FoundVolumes {
  VolumeMap map;  // may hold keys: a secret
  std::vector<FoundVolume> volumes;
  std::vector<Unread> unread;      // with the reason
  std::vector<std::string> used;   // the names of the parts that are members of volumes
  std::vector<std::string> notes;  // sentences: "md/0 has 1 of 2 members."
};

constexpr size_t kMaxParts = 512;

// Throws corrupt if the question contradicts itself. Whatever is wrong with what is on the disks, or
// cannot be read, ends up in `unread`.
FoundVolumes find_volumes(const std::vector<DiskSource*>& disks, const Question& question);

// Throw corrupt for what is not such a message.
base::Bytes pack_question(const Question& question);
Question unpack_question(base::ByteView bytes);
base::Bytes pack_found(const FoundVolumes& found);
FoundVolumes unpack_found(base::ByteView bytes);

}  // namespace images::volumes
