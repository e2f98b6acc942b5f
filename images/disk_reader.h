// One disk of a point. It is a DiskSource, so that a point can be copied like any other disk, and
// promises more: all calls may be made by any number of threads at once; extents() reports only
// `data` and `zero`, with chunk granularity; read() verifies every chunk's checksum and throws
// corrupt, naming the disk's offset, if a chunk is damaged or missing. Other ranges stay readable.
//
// Keeps the point alive: while a reader exists the point cannot be deleted, and compaction can move
// its chunks without the reader noticing.
#pragma once

#include <cstdint>
#include <vector>

#include "images/chunk_hasher.h"
#include "images/disk_source.h"
#include "images/ids.h"
#include "images/point.h"
#include "images/point_sink.h"

namespace images {

// Which chunks of a disk differ from another state of it, as far as they were compared.
struct DiskChanges {
  uint64_t next = 0;             // the first chunk that was not compared; the disk's end: all were
  std::vector<uint64_t> chunks;  // ascending, below `next`
};

class DiskReader : public DiskSource {
 public:
  virtual const PointDisk& disk() const = 0;

  // Loads the chunk at this offset into the reader's cache, if it has one. A read of that chunk
  // that starts meanwhile waits for it. Throws as read() does.
  virtual void prefetch(uint64_t offset) { static_cast<void>(offset); }

  // How chunk_ids() names chunks, and their size. As long as the reader lives.
  virtual const ChunkHasher& hasher() const = 0;

  // The ids of the chunks [first_chunk, first_chunk + count), which are within the disk (its last
  // chunk may be a part of one, and is named as if zeros followed); the zero id for a chunk of
  // zeros. Reads no data. So whoever holds another state of the disk, and hashes that with
  // hasher(), knows what differs. Throws corrupt if a tree node is damaged or missing.
  virtual std::vector<ChunkId> chunk_ids(uint64_t first_chunk, uint64_t count) = 0;

  // The chunks from `first` on that differ from those of `base`, a disk of the same size in the same
  // store whose point somebody keeps from being deleted; at most `max_count` (> 0). Costs as much as
  // the two differ. Throws corrupt as chunk_ids(), unsupported if this reader has no tree.
  virtual DiskChanges changes_since(const PointDisk& base, uint64_t first, size_t max_count);

  // Chunk `number` in the form in which it is stored, so that it can be sent without compressing it
  // again; empty for a chunk of zeros. The bytes are in `buffer` until the next call with it. Throws
  // corrupt if its checksum is wrong; the plaintext is not checked. Throws unsupported if this reader
  // has no stored form.
  virtual EncodedChunk encoded_chunk(uint64_t number, base::Bytes& buffer);
};

}  // namespace images
