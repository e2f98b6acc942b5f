// Software RAID of Linux (md): members found by their superblocks (0.90, 1.0, 1.1, 1.2), and arrays
// made of them, also degraded ones: linear, RAID 0, 1, 4, 5, 6, and 10 with near copies. A member
// that knows of fewer events than the others is stale and not used; nothing is taken from one whose
// rebuild had not ended. Sources: md(4), the kernel's include/uapi/linux/raid/md_p.h. Everything
// read is hostile. Not thread-safe.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "images/volumes/layered_disks.h"

namespace images::volumes {

struct RaidMember {
  Block block;
  std::array<uint8_t, 16> array_id{};
  std::string array_name;  // "md/0"
  int32_t level = 0;       // -1: linear
  uint32_t layout = 0;
  uint64_t chunk_size = 0;  // bytes
  uint32_t member_count = 0;
  std::optional<uint32_t> place;            // in the array; none: a spare, or it failed
  uint64_t data_offset = 0, data_size = 0;  // bytes; within the member
  uint64_t used_size = 0;                   // bytes that the array uses of each member; 0: all
  uint64_t event_count = 0;
  bool is_rebuilt = true;    // false: its rebuild had not ended
  bool is_reshaped = false;  // the array was being given another shape
};

// None if `block` has no superblock that is whole. Throws what the disks throw.
std::optional<RaidMember> read_raid_member(const LayeredDisks& disks, const Block& block);

// The array of these members, which have one array_id. Adds its layer. Throws unsupported, in words
// for people, if too few members are there, or the kind of array is not read; corrupt if the members
// contradict each other.
Block assemble_array(LayeredDisks& disks, const std::vector<RaidMember>& members);

}  // namespace images::volumes
