// Finds records through the index and reads them from packs. Thread-safe. Compaction may move a
// record between the lookup and the read: then it is looked up again.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/guarded.h"
#include "base/lru_cache.h"
#include "images/store/index/chunk_index.h"
#include "images/store/place/store_place.h"
#include "images/store/record_codec.h"

namespace images {

// Open packs, at most kMaxOpenPacks of them; the least recently used is closed first.
class PackFiles {
 public:
  static constexpr size_t kMaxOpenPacks = 128;

  explicit PackFiles(BlobStore& blobs) : blobs_(blobs) {}

  // As BlobStore::open(): throws not_found if the pack does not exist.
  std::shared_ptr<base::ReadableFile> open(const PackId& pack);

 private:
  BlobStore& blobs_;
  base::LruCache<PackId, base::ReadableFile> open_{kMaxOpenPacks};
};

class RecordReader {
 public:
  // All must outlive the reader.
  RecordReader(BlobStore& blobs, ChunkIndex& index, const RecordCodec& codec)
      : index_(index), codec_(codec), packs_(blobs) {}

  // Throws corrupt when the chunk is missing or damaged.
  void read_chunk(const ChunkId& id, base::MutableByteView plain);
  // The chunk as it was sent, in `buffer`, which must not be shared between threads.
  EncodedChunk read_encoded(const ChunkId& id, base::Bytes& buffer);
  std::shared_ptr<const format::Node> read_node(const ChunkId& id);
  const RecordCodec& codec() const { return codec_; }

 private:
  struct Location {
    PackId pack;
    ChunkEntry entry;
  };
  Location find(const ChunkId& id);
  // The record's header; its stored bytes follow the header in `buffer`.
  format::RecordHeader fetch(const ChunkId& id, base::Bytes& buffer);

  ChunkIndex& index_;
  const RecordCodec& codec_;
  PackFiles packs_;
  // By incarnation of the index and number.
  base::Guarded<std::map<std::pair<uint64_t, uint32_t>, PackId>> pack_ids_;
};

}  // namespace images
