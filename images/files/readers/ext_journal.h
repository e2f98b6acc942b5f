// The journal of ext3 and ext4: what a mount would replay, as a layer over the disk, so that a file
// system of a machine that was running is read as the machine would find it after a power cut.
// Nothing is written. Source: the kernel's include/linux/jbd2.h, Documentation/filesystems/ext4/
// journal.rst. Hostile input; not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>

#include "images/disk_source.h"
#include "images/files/readers/file_system_reader.h"

namespace images::files {

struct JournalReplay {
  struct Copy {
    uint64_t place = 0;       // bytes, on the disk: where the journal keeps the block
    bool is_escaped = false;  // it begins with the journal's own mark, which was taken away
  };
  uint64_t block_size = 0;                    // bytes
  std::unordered_map<uint64_t, Copy> blocks;  // by the number of the block they replace
  std::string note;                           // a sentence, if something cannot be replayed
};

// `journal` is the content of the journal's file, whose blocks are at places_of on the disk.
// Throws corrupt if it is none.
JournalReplay read_journal(FileContent& journal, uint64_t block_size,
                           const std::function<uint64_t(uint64_t block)>& place_of);

// The disk with the journal's blocks in place of its own.
class ReplayedDisk : public DiskSource {
 public:
  // Must not outlive the disk.
  ReplayedDisk(DiskSource& disk, JournalReplay replay) : disk_(disk), replay_(std::move(replay)) {}

  uint64_t size() const override { return disk_.size(); }
  std::vector<Extent> extents(uint64_t offset, uint64_t length) override {
    return {{offset, length, ExtentKind::data}};
  }
  void read(uint64_t offset, base::MutableByteView out) override;

 private:
  DiskSource& disk_;
  const JournalReplay replay_;
};

}  // namespace images::files
