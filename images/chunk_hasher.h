// How one store names chunks: SHA-256 of the plaintext, or HMAC-SHA-256 under the store's id key,
// so that equal chunks of two tenants are unrelated. Immutable; thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/crypto.h"
#include "images/ids.h"

namespace images {

class ChunkHasher {
 public:
  explicit ChunkHasher(uint32_t chunk_size, std::optional<base::Key256> id_key = std::nullopt)
      : chunk_size_(chunk_size), id_key_(id_key) {}

  uint32_t chunk_size() const { return chunk_size_; }  // bytes
  // A secret; sent only to agents of the tenant, over TLS.
  const std::optional<base::Key256>& id_key() const { return id_key_; }

  // The id of a chunk's plaintext (always chunk_size bytes; a disk's last chunk is padded with
  // zeros), or of a node's bytes. Zero chunks get the zero id without hashing: call is_all_zero()
  // first.
  ChunkId id_of(base::ByteView plain) const;
  // The same for two of the same size, in little more than half the time.
  std::array<ChunkId, 2> ids_of(base::ByteView first, base::ByteView second) const;

  MachineId machine_id(std::string_view machine_name) const;
  DiskKey disk_key(std::string_view disk_name) const;

 private:
  uint32_t chunk_size_;
  std::optional<base::Key256> id_key_;
};

}  // namespace images
