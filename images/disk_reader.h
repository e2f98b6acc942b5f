// Random reads of one disk of a point. Thread-safe. Keeps the point alive: while a reader exists
// the point cannot be deleted, and compaction can move its chunks without the reader noticing.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "images/disk_source.h"
#include "images/point.h"

namespace images {

class DiskReader {
 public:
  virtual ~DiskReader() = default;
  virtual const PointDisk& disk() const = 0;
  virtual uint64_t size() const = 0;  // bytes

  // Fills `out`; the range must be within the disk. Every chunk's checksum is verified. Throws
  // corrupt, naming the disk's offset, if a chunk is damaged or missing; other ranges stay
  // readable.
  virtual void read(uint64_t offset, base::MutableByteView out) = 0;

  // Loads the chunk at this offset into the reader's cache, if it has one. A read of that chunk
  // that starts meanwhile waits for it. Throws as read() does.
  virtual void prefetch(uint64_t offset) { static_cast<void>(offset); }

  // Data and zero extents, with chunk granularity, covering the range exactly.
  virtual std::vector<Extent> extents(uint64_t offset, uint64_t length) = 0;
};

}  // namespace images
