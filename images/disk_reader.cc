#include "images/disk_reader.h"

#include "base/error.h"

namespace images {

DiskChanges DiskReader::changes_since(const PointDisk&, uint64_t, size_t) {
  throw base::Error(base::ErrorCode::unsupported, "this disk cannot be compared with another");
}

EncodedChunk DiskReader::encoded_chunk(uint64_t, base::Bytes&) {
  throw base::Error(base::ErrorCode::unsupported, "this disk's chunks cannot be sent as stored");
}

}  // namespace images
