#include "images/disk_reader.h"

#include "base/error.h"

namespace images {

EncodedChunk DiskReader::encoded_chunk(uint64_t, base::Bytes&) {
  throw base::Error(base::ErrorCode::unsupported, "this disk's chunks cannot be sent as stored");
}

}  // namespace images
