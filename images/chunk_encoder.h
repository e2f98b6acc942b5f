// Turns a chunk's plaintext into what travels and is stored: zstd, or the plain bytes when zstd
// does not make them fewer. Not thread-safe: one object a thread, reused, because its zstd context
// costs more to set up than a chunk costs to compress.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "images/point_sink.h"

namespace images {

class ChunkEncoder {
 public:
  // `level` is zstd's: 1 (fast) to 19; throws invalid_argument for another one.
  explicit ChunkEncoder(int level);
  ~ChunkEncoder();

  // One zstd frame (RFC 8878) with the content's size in its header and without a checksum of its
  // own: the chunk's id and the record around it have that duty. At most 1 MiB of plain bytes. The
  // result's bytes are the encoder's, and stay until forget().
  EncodedChunk encode(base::ByteView plain);

  // All that was encoded is needed no more: its memory is used again.
  void forget();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace images
