// The form in which a chunk travels and is stored: one zstd frame (RFC 8878), or the plain bytes when
// zstd does not make them fewer.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "images/point_sink.h"

namespace images {

// Not thread-safe: each thread has one and reuses it, because its zstd context costs more to set up
// than a chunk costs to compress.
class ChunkEncoder {
 public:
  // `level` is zstd's: 1 (fast) to 19; throws invalid_argument for any other.
  explicit ChunkEncoder(int level);
  ~ChunkEncoder();

  // A zstd frame with the content's size in its header and without a checksum of its
  // own: the chunk's id and the record around it have that duty. At most 1 MiB of plain bytes. The
  // result's bytes are the encoder's, and stay until forget().
  EncodedChunk encode(base::ByteView plain);

  // All results are no longer needed: their memory is reused.
  void forget();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Decodes `bytes` into exactly `plain`; throws corrupt. Thread-safe.
void decode_chunk(Codec codec, base::ByteView bytes, base::MutableByteView plain);

}  // namespace images
