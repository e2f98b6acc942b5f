// Every byte layout of a store, and nothing else; docs/format.md is the specification. All decoders
// accept hostile bytes: they throw corrupt, never read outside, and bound every length. All
// functions are pure; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/crypto.h"
#include "images/ids.h"
#include "images/point.h"
#include "images/point_marks.h"
#include "images/point_sink.h"

namespace images::format {

// Version of the store as a whole. A store of version 1 has no manifests of version 3; a writer turns
// it into one of version 2 before it adds the first (store_writer.h).
constexpr uint32_t kStoreVersion = 2;
constexpr uint32_t kPackVersion = 1;
// Version of manifests. Those of version 1 can be read: their only time is the host's. Those of
// version 2 have no fields.
constexpr uint32_t kManifestVersion = 3;

// --- the format file: what applies to the whole store
// -------------------------------------------------

// A power of two, 4 KiB to 1 MiB.
bool is_chunk_size(uint64_t bytes);

struct StoreParameters {
  StoreId id;
  uint32_t chunk_size = 0;  // bytes, a power of two, 4 KiB to 1 MiB
  uint32_t fanout = 64;     // children of a tree node, a power of two, 16 to 256
  bool encrypted = false;
  uint32_t version = kStoreVersion;  // 1 or kStoreVersion
};

base::Bytes encode_parameters(const StoreParameters& parameters);
// Throws corrupt, or unsupported for a version or flag that this program does not know.
StoreParameters decode_parameters(base::ByteView bytes);

// --- the key file: the master key, wrapped
// -----------------------------------------------------------

enum class KeyDerivation : uint32_t { scrypt = 1, key_file = 2 };

struct WrappedKey {
  KeyDerivation derivation = KeyDerivation::scrypt;
  uint32_t scrypt_log2_n = 16;
  std::array<uint8_t, 32> salt{};
  base::GcmNonce nonce{};
  std::array<uint8_t, 32 + base::kGcmTagSize> sealed{};
};

base::Bytes encode_wrapped_key(const WrappedKey& key);
WrappedKey decode_wrapped_key(base::ByteView bytes);

// --- packs
// ---------------------------------------------------------------------------------------------

constexpr size_t kPackHeaderSize = 64;
base::Bytes encode_pack_header(const StoreId& store, const PackId& pack);
// Throws corrupt unless the header is intact and belongs to this store and pack.
void check_pack_header(base::ByteView bytes, const StoreId& store, const PackId& pack);

enum class RecordKind : uint8_t { chunk = 1, node = 2, directory = 3 };
enum class Cipher : uint8_t { none = 0, aes_256_gcm = 1 };

constexpr size_t kRecordHeaderSize = 72;
constexpr uint32_t kMaxPlainSize = 1u << 20;
// Room for a directory of a pack full of the smallest records.
constexpr uint32_t kMaxStoredSize = 64u << 20;

struct RecordHeader {
  RecordKind kind = RecordKind::chunk;
  Codec codec = Codec::raw;
  Cipher cipher = Cipher::none;
  uint32_t stored_size = 0;  // bytes that follow the header
  uint32_t plain_size = 0;
  ChunkId id;
  base::GcmNonce nonce{};
  uint64_t checksum = 0;  // checksum64 of the stored bytes
};

// Appends kRecordHeaderSize bytes.
void encode_record_header(const RecordHeader& header, base::Bytes& out);
// Nothing if these kRecordHeaderSize bytes are not a valid record header.
std::optional<RecordHeader> decode_record_header(base::ByteView bytes);
// The part of an encrypted record's header that its ciphertext authenticates.
base::Bytes record_associated_data(const RecordHeader& header);
// Where in `bytes`, starting at `start`, the next record header may begin: where its magic is.
// bytes.size() if nowhere.
size_t find_record_magic(base::ByteView bytes, size_t start);

// The table of contents at the end of a sealed pack: a record of kind `directory`, then a footer.
struct DirectoryEntry {
  RecordKind kind = RecordKind::chunk;
  uint32_t offset = 0;  // of the record's header in the pack
  uint32_t stored_size = 0;
  ChunkId id;

  bool operator==(const DirectoryEntry&) const = default;
};
constexpr size_t kDirectoryEntrySize = 44;
constexpr size_t kPackFooterSize = 24;

base::Bytes encode_directory(const std::vector<DirectoryEntry>& entries);
std::vector<DirectoryEntry> decode_directory(base::ByteView bytes);
base::Bytes encode_pack_footer(uint64_t directory_offset);
// The directory record's offset; nothing if these kPackFooterSize bytes are not a footer: an
// unsealed pack.
std::optional<uint64_t> decode_pack_footer(base::ByteView bytes);

// --- tree nodes
// ------------------------------------------------------------------------------------------

// A node without any child is never written: its id is the zero id.
struct Node {
  uint8_t level = 0;              // 0: the children are chunks
  std::vector<ChunkId> children;  // `fanout` of them; zero: only zeros below

  bool is_zero() const;
};
base::Bytes encode_node(const Node& node);
Node decode_node(base::ByteView bytes, uint32_t fanout);

// --- manifests
// -------------------------------------------------------------------------------------------

constexpr uint64_t kMaxManifestSize = 16u << 20;
constexpr uint32_t kMaxDisks = 64;
constexpr uint32_t kMaxFieldsSize = 64 << 10;  // bytes

// What is readable without a key: enough to check, count and delete.
struct PublicManifest {
  PointId id;
  MachineId machine;
  uint64_t time_ms = 0;  // when it was received
  Consistency consistency = Consistency::crash;
  struct Disk {
    DiskKey key;
    uint64_t size = 0;
    ChunkId root;
  };
  std::vector<Disk> disks;
  PointDates dates;
  PointLineage lineage = {};
};

// The dates of a point whose only time is the host's, at most kLatestTime_ms.
PointDates dates_of_version_1(uint64_t time_ms);

// `key` seals the private part; none in a store that is not encrypted.
base::Bytes encode_manifest(const Point& point, const std::optional<base::Key256>& key);
PublicManifest decode_public_manifest(base::ByteView bytes);
// Throws unauthorized if the manifest needs a key and `key` is missing or wrong.
Point decode_manifest(base::ByteView bytes, const std::optional<base::Key256>& key);

// --- marks
// ------------------------------------------------------------------------------------------

// With everything around what encode_marks() made, sealed or not.
constexpr uint64_t kMaxMarksFileSize = kMaxMarksSize + 128;

// `key` seals them; none in a store that is not encrypted.
base::Bytes encode_marks_file(const PointId& point, const PointMarks& marks,
                              const std::optional<base::Key256>& key);
// Throws corrupt (also for another point's), unsupported for a newer version, unauthorized if they
// need a key and `key` is missing or wrong.
PointMarks decode_marks_file(base::ByteView bytes, const PointId& point,
                             const std::optional<base::Key256>& key);

}  // namespace images::format
