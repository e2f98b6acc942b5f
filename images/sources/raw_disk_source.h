// A raw image file or a block device, read directly. Holes of a file are known to be zero without
// reading. Thread-safe as every DiskSource: read() from any threads, extents() from one.
#pragma once

#include <string>

#include "base/unique_fd.h"
#include "images/disk_source.h"

namespace images {

class RawDiskSource : public DiskSource {
 public:
  // Opens for reading. Throws not_found, unauthorized, io; invalid_argument if it is neither a file
  // nor a block device.
  explicit RawDiskSource(const std::string& path);

  // True while a QEMU, on this machine, has it open for writing.
  bool has_writer() const;

  // A file whose length is not a multiple of 512 is padded with zeros to the next one, as QEMU
  // does.
  uint64_t size() const override { return size_; }
  std::vector<Extent> extents(uint64_t offset, uint64_t length) override;
  void read(uint64_t offset, base::MutableByteView out) override;

 private:
  Extent extent_at(uint64_t offset, uint64_t end);

  std::string path_;
  base::UniqueFd fd_;
  uint64_t content_size_ = 0;  // bytes of the file
  uint64_t size_ = 0;
  bool finds_holes_ = true;
};

}  // namespace images
