// A file's content as runs of bytes on a disk: the usual form of every file system. Not thread-safe.
#pragma once

#include <vector>

#include "images/disk_source.h"
#include "images/files/readers/file_system_reader.h"

namespace images::files {

class FileRuns : public FileContent {
 public:
  // `disk` must outlive it.
  FileRuns(DiskSource& disk, uint64_t size) : disk_(disk), size_(size) {}

  // The next bytes of the file; runs may be added in any order, and must not overlap. Throws corrupt
  // for too many runs, and for one beyond the disk.
  void add(uint64_t offset, uint64_t place, uint64_t length);
  // After the last add(): sorts them. Throws corrupt if they overlap.
  void close();

  // The byte place on the disk of a byte that is in a run; throws corrupt for one that is not.
  uint64_t place_of(uint64_t offset) const;
  // The runs, in order.
  std::vector<DataRange> pieces() const;

  uint64_t size() const override { return size_; }
  void read(uint64_t offset, base::MutableByteView out) override;
  std::vector<DataRange> ranges(size_t limit) override;

 private:
  struct Run {
    uint64_t offset, place, length;  // bytes: in the file, on the disk
  };
  DiskSource& disk_;
  const uint64_t size_;
  std::vector<Run> runs_;
};

// Content that is in memory.
class SmallContent : public FileContent {
 public:
  explicit SmallContent(base::Bytes bytes) : bytes_(std::move(bytes)) {}

  uint64_t size() const override { return bytes_.size(); }
  void read(uint64_t offset, base::MutableByteView out) override;
  std::vector<DataRange> ranges(size_t limit) override;

 private:
  const base::Bytes bytes_;
};

// Ranges in order, with the smallest holes filled until there are at most `limit`.
std::vector<DataRange> merged(std::vector<DataRange> ranges, size_t limit);

// Bytes of `disk`; throws corrupt if they are not all on it. `what` names them in the message.
base::Bytes read_bytes(DiskSource& disk, uint64_t offset, uint64_t size, const char* what);

}  // namespace images::files
