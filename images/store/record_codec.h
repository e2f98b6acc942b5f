// Turns chunks and nodes into records as they are in packs, and back: compression (done by the
// sender), encryption at rest, checksum. Immutable; thread-safe.
//
// Encryption: each id has a key of its own, HMAC-SHA-256(records key, id), and each record a random
// 96-bit nonce. An id is a keyed hash of its plaintext, so each key encrypts only one plaintext:
// even an equal nonce would reveal nothing. The key does not depend on the pack, so records can be
// copied from pack to pack, checked and deleted by a process that has no key. Nodes contain only
// keyed ids and are not encrypted, for the same reason.
#pragma once

#include <memory>
#include <optional>

#include "images/chunk_hasher.h"
#include "images/format/store_format.h"
#include "images/point_sink.h"
#include "images/store/store_key.h"

namespace images {

struct Record {
  format::RecordHeader header;
  base::ByteView stored;
  std::unique_ptr<base::Bytes> own;  // what `stored` refers to; null: it belongs to someone else
};

class RecordCodec {
 public:
  // `keys` is empty for a store that is not encrypted, and for one whose key is not available: then
  // nodes can be read and chunks cannot.
  RecordCodec(const format::StoreParameters& parameters, std::optional<StoreKeys> keys)
      : parameters_(parameters), keys_(std::move(keys)) {}

  // In a store that is not encrypted, the record refers to the chunk's own bytes.
  Record seal_chunk(const ChunkId& id, const EncodedChunk& chunk) const;
  Record seal_node(const ChunkId& id, base::Bytes node) const;

  // Fills `plain` (chunk_size bytes). Throws corrupt if the checksum, the ciphertext or the
  // compressed bytes are wrong, unauthorized if the key is missing.
  void open_chunk(const format::RecordHeader& header, base::ByteView stored,
                  base::MutableByteView plain) const;
  // The chunk as it was sent: checksum verified and decrypted, but still compressed. Its bytes are
  // within `stored`, or in `opened`. Throws as open_chunk().
  EncodedChunk unseal_chunk(const format::RecordHeader& header, base::ByteView stored,
                            base::Bytes& opened) const;
  format::Node open_node(const format::RecordHeader& header, base::ByteView stored) const;

  const format::StoreParameters& parameters() const { return parameters_; }
  bool can_open_chunks() const { return !parameters_.encrypted || keys_.has_value(); }

 private:
  base::Key256 key_of(const ChunkId& id) const;

  format::StoreParameters parameters_;
  std::optional<StoreKeys> keys_;
};

}  // namespace images
