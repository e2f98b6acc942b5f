// Finds and opens all file systems on a point's disks: partitions, what LVM, software RAID, LUKS and
// BitLocker make of them (images/volumes/), and what is on each. What cannot be read is named with
// the reason. Not thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "images/files/files_format.h"
#include "images/files/readers/file_system_reader.h"
#include "images/volumes/keys/volume_search.h"
#include "images/volumes/mapped_volume.h"

namespace images::files {

class FileSystems {
 public:
  // Looks at all of `disks`, which must outlive it.
  FileSystems(std::vector<std::pair<std::string, DiskSource*>> disks,
              const std::vector<volumes::VolumeKey>& keys);

  const FoundFileSystems& found() const { return found_; }
  // In the order of what was found. Throws invalid_argument for a number that is not in it.
  FileSystemReader& reader(uint32_t number);

 private:
  // Something that may hold a file system.
  struct Candidate {
    std::string name, origin;
    DiskSource* disk;
  };
  std::vector<volumes::Part> find_parts();
  void find_candidates(const std::vector<volumes::VolumeKey>& keys);
  void add_volume(const volumes::FoundVolume& volume);
  void look_at(const Candidate& candidate);
  std::unique_ptr<FileSystemReader> open(const Candidate& candidate);
  void say_unread(const std::string& name, const std::string& why);

  std::vector<std::pair<std::string, DiskSource*>> disks_;
  std::vector<DiskSource*> sources_;                // of disks_
  volumes::FoundVolumes volumes_;                   // its map is used by what is below
  std::vector<std::unique_ptr<DiskSource>> owned_;  // windows and volumes
  std::vector<Candidate> candidates_;
  std::vector<std::unique_ptr<FileSystemReader>> readers_;
  FoundFileSystems found_;
};

}  // namespace images::files
