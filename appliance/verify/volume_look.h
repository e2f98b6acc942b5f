// Looks into what LVM, software RAID, LUKS and BitLocker made of a point's disks: runs the program
// muletto-volumes on them, confined (base/confinement.h), with the machine's keys. Its answer may
// hold keys of volumes: these are kept in memory, and for the programs in a private folder of /run,
// never on a disk; confined programs see an empty /run. Not thread-safe.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "appliance/verify/disk_view.h"
#include "base/scratch_directory.h"
#include "images/volumes/keys/volume_search.h"

namespace appliance::verify {

struct NamedDisk {
  std::string name;   // in the point
  uint64_t size = 0;  // bytes
};

struct VolumeLookPlan {
  boot::PointSource source;  // `reader` is not used
  images::PointId point;
  std::vector<NamedDisk> disks;              // all of the point; at most images::volumes::kMaxDisks
  std::vector<images::volumes::Part> parts;  // where to look
  std::vector<images::volumes::VolumeKey> keys;
  std::string plugin_path;
};

class VolumeLook {
 public:
  // Looks. `directory` is as for a DiskView. Throws cancelled, unavailable with the program's words,
  // corrupt if its answer is not one.
  VolumeLook(const VolumeLookPlan& plan, const std::string& directory, const std::stop_token& stop);

  // The names in it come from disks, and are safe to show.
  const images::volumes::FoundVolumes& found() const { return found_; }
  // For a view of the volume; the file is there as long as this object.
  ViewedVolume view_of(const images::volumes::FoundVolume& volume) const {
    return {map_path_, volume.source};
  }

 private:
  void write_map(const images::volumes::VolumeMap& map);

  base::ScratchDirectory secrets_;
  std::string map_path_;
  images::volumes::FoundVolumes found_;
};

}  // namespace appliance::verify
