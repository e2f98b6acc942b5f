// What reader and writer of a store share: its parameters, keys, index and records. Thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/lru_cache.h"
#include "images/chunk_hasher.h"
#include "images/store/index/chunk_index.h"
#include "images/store/place/store_place.h"
#include "images/store/record_codec.h"
#include "images/store/record_reader.h"
#include "images/store/store_key.h"
#include "images/store/tree.h"

namespace images {

class StoreContext {
 public:
  static constexpr size_t kCachedNodes = 4096;  // about 9 MiB with a fan-out of 64

  const std::shared_ptr<StorePlace> place;
  BlobStore& blobs;             // the place's
  const std::string directory;  // where the place is, for messages
  const format::StoreParameters parameters;
  const std::optional<StoreKeys> keys;
  const TreeShape shape;
  const ChunkHasher hasher;
  const RecordCodec codec;

  // The writer's, from its WriterLimits; set before anything is written.
  uint64_t pack_size = 0;
  size_t reference_slice = 0;

  // Without a key an encrypted store can be checked, counted and pruned, but no chunk can be
  // opened. The index is opened separately: it may have to be repaired first.
  StoreContext(std::shared_ptr<StorePlace> store_place,
               const format::StoreParameters& store_parameters,
               std::optional<StoreKeys> store_keys);

  void open_index(const std::string& index_directory, bool create);
  void close_index();  // nothing may be using it
  ChunkIndex& index() const { return *index_; }
  RecordReader& records() const { return *records_; }

  // Nodes come from a cache.
  std::shared_ptr<const format::Node> load_node(const ChunkId& id) const;
  NodeLoader node_loader() const;

  // Throws not_found, corrupt, unauthorized.
  Point read_point(const MachineId& machine, const PointId& id) const;
  // Empty if there are none. Throws corrupt, unsupported, unauthorized.
  PointMarks read_marks(const MachineId& machine, const PointId& id) const;
  // Durable when it returns; empty ones remove the file. Throws unauthorized without a key that is
  // needed, and what writing a blob throws.
  void write_marks(const MachineId& machine, const PointId& id, const PointMarks& marks) const;
  std::optional<base::Key256> manifest_key() const;

 private:
  std::unique_ptr<ChunkIndex> index_;
  std::unique_ptr<RecordReader> records_;
  mutable base::LruCache<ChunkId, const format::Node> nodes_{kCachedNodes};
};

// Throws not_found when there is no store, unsupported for a newer format.
format::StoreParameters read_parameters(StorePlace& place);
base::Bytes read_parameters_blob(StorePlace& place);  // the same, not decoded
format::StoreParameters read_parameters(base::FileSystem& files, const std::string& directory);

enum class KeyUse { required, optional };

// If the key is missing: throws unauthorized if it is required. If it is wrong: always.
std::unique_ptr<StoreContext> open_store_context(std::shared_ptr<StorePlace> place,
                                                 const KeySource& key, KeyUse use);

}  // namespace images
