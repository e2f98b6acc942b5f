// A disk that can be captured: its size, which parts may have changed, and reads.
// Implementations: an NBD export (nbd_disk_source.h: libvirt pull backups, qemu-nbd on any image
// file), a raw file or block device (raw_disk_source.h), a disk of a point (disk_reader.h).
// Whoever makes one sees to it that its content stays the same. Thread-safety: read() may be called
// by several threads at once, extents() by one. tests/images/disk_source_contract.cc runs on all.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"

namespace images {

enum class ExtentKind {
  data,  // must be read
  zero,  // reads as zeros
  // As in the point the sync is relative to; never returned by a source without change tracking.
  unchanged,
};

struct Extent {
  uint64_t offset = 0;  // bytes
  uint64_t length = 0;  // bytes
  ExtentKind kind = ExtentKind::data;
};

class DiskSource {
 public:
  virtual ~DiskSource() = default;

  virtual uint64_t size() const = 0;  // bytes

  // The extents of [offset, offset + length): ascending, without gaps or overlaps, covering it
  // exactly. The caller asks in windows, front to back, so a source never lists a whole large disk
  // at once.
  virtual std::vector<Extent> extents(uint64_t offset, uint64_t length) = 0;

  // Fills `out`; [offset, offset + out.size()) must be within the disk. Throws io if the source
  // fails.
  virtual void read(uint64_t offset, base::MutableByteView out) = 0;
};

}  // namespace images
