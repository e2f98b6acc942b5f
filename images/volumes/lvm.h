// LVM's volume groups: physical volumes found on blocks, and logical volumes made of them. Linear,
// striped and mirrored (also RAID 1) volumes can be read; thin, cached, snapshot and other RAID
// volumes are named with the reason why not. Sources: the on-disk format as lvm2 writes it (label
// "LABELONE", metadata area, text), which pvck(8) --dump shows; dm-raid's superblock as in the
// kernel's drivers/md/dm-raid.c. Everything read is hostile. Not thread-safe.
#pragma once

#include <string>
#include <vector>

#include "images/volumes/layered_disks.h"

namespace images::volumes {

struct PhysicalVolume {
  Block block;
  std::string id;    // 32 letters and digits
  std::string text;  // the newest description in its metadata areas; empty: it keeps none
};

// None if `block` is no physical volume. Throws corrupt for one whose every description is damaged,
// and what the disks throw.
std::optional<PhysicalVolume> read_physical_volume(const LayeredDisks& disks, const Block& block);

struct LogicalVolume {
  Block block;
  std::vector<Source> group;  // the physical volumes of its group that are there
};

struct LogicalVolumes {
  std::vector<LogicalVolume> volumes;
  std::vector<Unread> unread;
};

// The visible logical volumes of all groups on these physical volumes. Adds their layers.
LogicalVolumes assemble_groups(LayeredDisks& disks, const std::vector<PhysicalVolume>& volumes);

}  // namespace images::volumes
