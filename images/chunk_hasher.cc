#include "images/chunk_hasher.h"

#include <string>

#include "base/sha256_pair.h"

namespace images {
namespace {

// A name's id: the first half of the chunk hash of "KIND\0NAME". The kind distinguishes a machine
// and a disk of the same name; under a tenant's key the ids reveal nothing about the names.
template <typename NameId>
NameId id_of_name(const ChunkHasher& hasher, std::string_view kind, std::string_view name) {
  std::string text(kind);
  text.push_back('\0');
  text.append(name);
  ChunkId hash = hasher.id_of(base::as_bytes(text));
  NameId id;
  std::copy_n(hash.bytes.begin(), NameId::kSize, id.bytes.begin());
  return id;
}

}  // namespace

ChunkId ChunkHasher::id_of(base::ByteView plain) const {
  return ChunkId{id_key_ ? base::hmac_sha256(*id_key_, plain) : base::sha256(plain)};
}

std::array<ChunkId, 2> ChunkHasher::ids_of(base::ByteView first, base::ByteView second) const {
  auto hashes =
      id_key_ ? base::hmac_sha256_pair(*id_key_, first, second) : base::sha256_pair(first, second);
  return {ChunkId{hashes[0]}, ChunkId{hashes[1]}};
}

MachineId ChunkHasher::machine_id(std::string_view machine_name) const {
  return id_of_name<MachineId>(*this, "machine", machine_name);
}

DiskKey ChunkHasher::disk_key(std::string_view disk_name) const {
  return id_of_name<DiskKey>(*this, "disk", disk_name);
}

}  // namespace images
