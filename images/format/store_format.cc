#include "images/format/store_format.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "base/error.h"
#include "images/point_fields.h"
#include "images/point_json.h"

namespace images::format {
namespace {

using base::ByteReader;
using base::Bytes;
using base::ByteView;
using base::ByteWriter;
using base::Error;
using base::ErrorCode;

constexpr std::string_view kParametersMagic = "MULSTORE";
constexpr std::string_view kKeyMagic = "MULKEYS1";
constexpr std::string_view kPackMagic = "MULPACK1";
constexpr std::string_view kManifestMagic = "MULPOINT";
constexpr std::string_view kMarksMagic = "MULMARKS";
constexpr uint32_t kMarksVersion = 1;
constexpr std::string_view kFooterMagic = "MULSEAL1";
constexpr uint32_t kRecordMagic = 0x4352554d;  // "MURC"
constexpr uint32_t kNodeMagic = 0x444f4e4d;    // "MNOD"
constexpr uint32_t kFlagEncrypted = 1;
constexpr uint32_t kFlagHostClockWrong = 2;  // since version 2
constexpr uint32_t kFlagDatedByHost = 4;     // since version 3
constexpr uint32_t kMinNodeHeader = 8;

// Appends the checksum of everything written so far.
Bytes with_checksum(ByteWriter writer) {
  writer.u64(base::checksum64(writer.bytes()));
  return writer.take();
}

// The input without its trailing checksum, which must be right.
ByteView without_checksum(ByteView bytes, std::string_view what) {
  if (bytes.size() < 8) throw Error(ErrorCode::corrupt, std::string(what) + " ends too early");
  ByteView body = bytes.first(bytes.size() - 8);
  if (base::load_u64(bytes.data() + body.size()) != base::checksum64(body)) {
    throw Error(ErrorCode::corrupt, std::string(what) + " is damaged: its checksum does not match");
  }
  return body;
}

void expect_magic(ByteReader& reader, std::string_view magic) {
  if (base::as_text(reader.view(magic.size())) != magic)
    reader.fail("does not begin with " + std::string(magic));
}

template <typename AnyId>
AnyId read_id(ByteReader& reader) {
  return AnyId{reader.array<AnyId::kSize>()};
}

}  // namespace

bool is_chunk_size(uint64_t bytes) {
  return std::has_single_bit(bytes) && bytes >= 4096 && bytes <= kMaxPlainSize;
}

Bytes encode_parameters(const StoreParameters& parameters) {
  ByteWriter writer;
  writer.view(base::as_bytes(kParametersMagic));
  writer.u32(parameters.version);
  writer.u32(parameters.encrypted ? kFlagEncrypted : 0);
  writer.view(parameters.id.view());
  writer.u32(parameters.chunk_size);
  writer.u32(parameters.fanout);
  return with_checksum(std::move(writer));
}

StoreParameters decode_parameters(ByteView bytes) {
  ByteReader reader(without_checksum(bytes, "the store's format file"), "the store's format file");
  expect_magic(reader, kParametersMagic);
  uint32_t version = reader.u32();
  uint32_t flags = reader.u32();
  if (version == 0 || version > kStoreVersion || (flags & ~kFlagEncrypted) != 0) {
    throw Error(ErrorCode::unsupported, "the store has format version " + std::to_string(version) +
                                            "; this program knows versions 1 to " +
                                            std::to_string(kStoreVersion));
  }
  StoreParameters parameters;
  parameters.version = version;
  parameters.encrypted = (flags & kFlagEncrypted) != 0;
  parameters.id = read_id<StoreId>(reader);
  parameters.chunk_size = reader.u32();
  parameters.fanout = reader.u32();
  reader.expect_end();
  if (!is_chunk_size(parameters.chunk_size)) reader.fail("has a bad chunk size");
  bool good =
      std::has_single_bit(parameters.fanout) && parameters.fanout >= 16 && parameters.fanout <= 256;
  if (!good) reader.fail("has a bad fan-out");
  return parameters;
}

Bytes encode_wrapped_key(const WrappedKey& key) {
  ByteWriter writer;
  writer.view(base::as_bytes(kKeyMagic));
  writer.u32(static_cast<uint32_t>(key.derivation));
  writer.u32(key.scrypt_log2_n);
  writer.view(key.salt);
  writer.view(key.nonce);
  writer.view(key.sealed);
  return with_checksum(std::move(writer));
}

WrappedKey decode_wrapped_key(ByteView bytes) {
  ByteReader reader(without_checksum(bytes, "the store's key file"), "the store's key file");
  expect_magic(reader, kKeyMagic);
  WrappedKey key;
  uint32_t derivation = reader.u32();
  if (derivation != 1 && derivation != 2) reader.fail("has an unknown key derivation");
  key.derivation = static_cast<KeyDerivation>(derivation);
  key.scrypt_log2_n = reader.u32();
  if (key.scrypt_log2_n < 14 || key.scrypt_log2_n > 20) reader.fail("has a bad scrypt cost");
  key.salt = reader.array<32>();
  key.nonce = reader.array<12>();
  key.sealed = reader.array<48>();
  reader.expect_end();
  return key;
}

Bytes encode_pack_header(const StoreId& store, const PackId& pack) {
  ByteWriter writer;
  writer.view(base::as_bytes(kPackMagic));
  writer.u32(kPackVersion);
  writer.u32(0);
  writer.view(store.view());
  writer.view(pack.view());
  writer.zeros(8);
  Bytes bytes = with_checksum(std::move(writer));
  CHECK(bytes.size() == kPackHeaderSize);
  return bytes;
}

void check_pack_header(ByteView bytes, const StoreId& store, const PackId& pack) {
  ByteReader reader(without_checksum(bytes, "the pack's header"), "the pack's header");
  expect_magic(reader, kPackMagic);
  if (reader.u32() != kPackVersion) reader.fail("has an unknown version");
  reader.u32();
  if (read_id<StoreId>(reader) != store) reader.fail("belongs to another store");
  if (read_id<PackId>(reader) != pack) reader.fail("belongs to another pack");
}

void encode_record_header(const RecordHeader& header, Bytes& out) {
  ByteWriter writer;
  writer.u32(kRecordMagic);
  writer.u8(static_cast<uint8_t>(header.kind));
  writer.u8(static_cast<uint8_t>(header.codec));
  writer.u8(static_cast<uint8_t>(header.cipher));
  writer.u8(0);
  writer.u32(header.stored_size);
  writer.u32(header.plain_size);
  writer.view(header.id.view());
  writer.view(header.nonce);
  writer.u64(header.checksum);
  writer.u32(static_cast<uint32_t>(base::checksum64(writer.bytes())));
  CHECK(writer.size() == kRecordHeaderSize);
  out.insert(out.end(), writer.bytes().begin(), writer.bytes().end());
}

std::optional<RecordHeader> decode_record_header(ByteView bytes) {
  if (bytes.size() < kRecordHeaderSize || base::load_u32(bytes.data()) != kRecordMagic)
    return std::nullopt;
  constexpr size_t kCovered = kRecordHeaderSize - 4;
  auto expected = static_cast<uint32_t>(base::checksum64(bytes.first(kCovered)));
  if (base::load_u32(bytes.data() + kCovered) != expected) return std::nullopt;
  ByteReader reader(bytes, "a record header");
  reader.u32();
  RecordHeader header;
  uint8_t kind = reader.u8(), codec = reader.u8(), cipher = reader.u8();
  reader.u8();
  header.kind = static_cast<RecordKind>(kind);
  header.codec = static_cast<Codec>(codec);
  header.cipher = static_cast<Cipher>(cipher);
  header.stored_size = reader.u32();
  header.plain_size = reader.u32();
  header.id = read_id<ChunkId>(reader);
  header.nonce = reader.array<12>();
  header.checksum = reader.u64();
  uint32_t plain_limit = header.kind == RecordKind::directory ? kMaxStoredSize : kMaxPlainSize;
  bool good = kind >= 1 && kind <= 3 && codec <= 1 && cipher <= 1 && header.stored_size > 0 &&
              header.stored_size <= kMaxStoredSize && header.plain_size <= plain_limit;
  if (!good) return std::nullopt;
  return header;
}

Bytes record_associated_data(const RecordHeader& header) {
  ByteWriter writer;
  writer.u8(static_cast<uint8_t>(header.kind));
  writer.u8(static_cast<uint8_t>(header.codec));
  writer.u32(header.stored_size);
  writer.u32(header.plain_size);
  writer.view(header.id.view());
  return writer.take();
}

size_t find_record_magic(ByteView bytes, size_t start) {
  uint8_t pattern[4];
  base::store_u32(pattern, kRecordMagic);
  if (start >= bytes.size()) return bytes.size();
  const void* found = ::memmem(bytes.data() + start, bytes.size() - start, pattern, sizeof pattern);
  if (found == nullptr) return bytes.size();
  return static_cast<size_t>(static_cast<const uint8_t*>(found) - bytes.data());
}

Bytes encode_directory(const std::vector<DirectoryEntry>& entries) {
  ByteWriter writer;
  for (const DirectoryEntry& entry : entries) {
    writer.u32(static_cast<uint32_t>(entry.kind));
    writer.u32(entry.offset);
    writer.u32(entry.stored_size);
    writer.view(entry.id.view());
  }
  return writer.take();
}

std::vector<DirectoryEntry> decode_directory(ByteView bytes) {
  ByteReader reader(bytes, "a pack's directory");
  if (bytes.size() % kDirectoryEntrySize != 0) reader.fail("has a bad length");
  std::vector<DirectoryEntry> entries(bytes.size() / kDirectoryEntrySize);
  for (DirectoryEntry& entry : entries) {
    uint32_t kind = reader.u32();
    if (kind != 1 && kind != 2) reader.fail("lists an unknown kind of record");
    entry.kind = static_cast<RecordKind>(kind);
    entry.offset = reader.u32();
    entry.stored_size = reader.u32();
    entry.id = read_id<ChunkId>(reader);
  }
  return entries;
}

Bytes encode_pack_footer(uint64_t directory_offset) {
  ByteWriter writer;
  writer.view(base::as_bytes(kFooterMagic));
  writer.u64(directory_offset);
  Bytes bytes = with_checksum(std::move(writer));
  CHECK(bytes.size() == kPackFooterSize);
  return bytes;
}

std::optional<uint64_t> decode_pack_footer(ByteView bytes) {
  if (bytes.size() != kPackFooterSize || base::as_text(bytes.first(8)) != kFooterMagic)
    return std::nullopt;
  if (base::load_u64(bytes.data() + 16) != base::checksum64(bytes.first(16))) return std::nullopt;
  return base::load_u64(bytes.data() + 8);
}

bool Node::is_zero() const {
  return std::all_of(children.begin(), children.end(),
                     [](const ChunkId& id) { return id.is_zero(); });
}

Bytes encode_node(const Node& node) {
  ByteWriter writer;
  writer.u32(kNodeMagic);
  writer.u8(node.level);
  writer.zeros(3);
  for (size_t first = 0; first < node.children.size(); first += 8) {
    uint8_t present = 0;
    for (size_t bit = 0; bit < 8; ++bit) {
      if (!node.children[first + bit].is_zero())
        present = static_cast<uint8_t>(present | 1u << bit);
    }
    writer.u8(present);
  }
  for (const ChunkId& child : node.children) {
    if (!child.is_zero()) writer.view(child.view());
  }
  return writer.take();
}

Node decode_node(ByteView bytes, uint32_t fanout) {
  ByteReader reader(bytes, "a tree node");
  if (bytes.size() < kMinNodeHeader + fanout / 8 || reader.u32() != kNodeMagic)
    reader.fail("has no node header");
  Node node;
  node.level = reader.u8();
  reader.view(3);
  ByteView present = reader.view(fanout / 8);
  node.children.resize(fanout);
  for (uint32_t child = 0; child < fanout; ++child) {
    if ((present[child / 8] >> (child % 8) & 1) == 0) continue;
    node.children[child] = read_id<ChunkId>(reader);
    if (node.children[child].is_zero()) reader.fail("lists a zero child");
  }
  reader.expect_end();
  return node;
}

PointDates dates_of_version_1(uint64_t time_ms) {
  PointDates dates;
  dates.host_time_ms = time_ms;
  dates.order = time_ms;
  dates.dated_by_host = true;
  return dates;
}

namespace {

// Nonce, size, and the bytes, sealed together with everything that was written before; without a key
// as they are.
void write_private(ByteWriter& writer, ByteView plain, const std::optional<base::Key256>& key) {
  if (!key) {
    writer.zeros(12);
    writer.u32(static_cast<uint32_t>(plain.size()));
    writer.view(plain);
    return;
  }
  auto nonce = base::random_array<12>();
  Bytes sealed(plain.size() + base::kGcmTagSize);
  base::gcm_seal(*key, nonce, writer.bytes(), plain, sealed);
  writer.view(nonce);
  writer.u32(static_cast<uint32_t>(sealed.size()));
  writer.view(sealed);
}

// What write_private() wrote, to the end of `body`, which `reader` reads. `whose`: "the point's
// manifest".
Bytes read_private(ByteReader& reader, ByteView body, bool encrypted,
                   const std::optional<base::Key256>& key, const std::string& whose) {
  ByteView associated = body.first(reader.offset());
  auto nonce = reader.array<12>();
  ByteView stored = reader.view(reader.u32());
  reader.expect_end();
  if (!encrypted) return Bytes(stored.begin(), stored.end());
  if (!key) throw Error(ErrorCode::unauthorized, "the point is encrypted; give the store's key");
  if (stored.size() < base::kGcmTagSize) reader.fail("has a sealed part that is too short");
  Bytes plain(stored.size() - base::kGcmTagSize);
  if (!base::gcm_open(*key, nonce, associated, stored, plain))
    throw Error(ErrorCode::unauthorized, "the key does not open " + whose);
  return plain;
}

}  // namespace

Bytes encode_manifest(const Point& point, const std::optional<base::Key256>& key) {
  ByteWriter writer;
  writer.view(base::as_bytes(kManifestMagic));
  writer.u32(kManifestVersion);
  writer.u32((key ? kFlagEncrypted : 0) | (point.dates.host_clock_wrong ? kFlagHostClockWrong : 0) |
             (point.dates.dated_by_host ? kFlagDatedByHost : 0));
  writer.view(point.id.view());
  writer.view(point.machine.view());
  writer.u64(point.time_ms);
  writer.u64(point.dates.host_time_ms);
  writer.u64(point.dates.order);
  writer.u32(static_cast<uint32_t>(point.consistency));
  writer.u32(static_cast<uint32_t>(point.disks.size()));
  for (const PointDisk& disk : point.disks) {
    writer.view(disk.key.view());
    writer.u64(disk.size);
    writer.view(disk.root.view());
  }
  Bytes fields = encode_lineage(point.lineage);
  writer.u32(static_cast<uint32_t>(fields.size()));
  writer.view(fields);
  write_private(writer, encode_point_details(point), key);
  return with_checksum(std::move(writer));
}

namespace {

PointDates read_dates(ByteReader& reader, uint32_t version, uint32_t flags, uint64_t time_ms) {
  if (version == 1) return dates_of_version_1(time_ms);
  PointDates dates;
  dates.host_time_ms = reader.u64();
  dates.order = reader.u64();
  dates.host_clock_wrong = (flags & kFlagHostClockWrong) != 0;
  dates.dated_by_host = (flags & kFlagDatedByHost) != 0;
  if (time_ms > kLatestTime_ms || dates.host_time_ms > kLatestTime_ms || dates.order >> 63 != 0)
    reader.fail("has an impossible time");
  return dates;
}

std::vector<PublicManifest::Disk> read_disks(ByteReader& reader) {
  uint32_t disk_count = reader.u32();
  if (disk_count == 0 || disk_count > kMaxDisks) reader.fail("lists a bad number of disks");
  std::vector<PublicManifest::Disk> disks(disk_count);
  for (PublicManifest::Disk& disk : disks) {
    disk.key = read_id<DiskKey>(reader);
    disk.size = reader.u64();
    disk.root = read_id<ChunkId>(reader);
    if (disk.size == 0 || disk.size % 512 != 0 || disk.size > kMaxDiskSize)
      reader.fail("has a bad disk size");
  }
  return disks;
}

PointLineage read_fields(ByteReader& reader) {
  uint32_t size = reader.u32();
  if (size > kMaxFieldsSize) reader.fail("has too long fields");
  return decode_lineage(reader.view(size), "the manifest");
}

PublicManifest read_public_part(ByteReader& reader, bool& encrypted) {
  expect_magic(reader, kManifestMagic);
  uint32_t version = reader.u32();
  if (version == 0 || version > kManifestVersion) {
    throw Error(ErrorCode::unsupported,
                "the manifest has format version " + std::to_string(version));
  }
  uint32_t flags = reader.u32();
  uint32_t known = kFlagEncrypted | (version > 1 ? kFlagHostClockWrong : 0) |
                   (version > 2 ? kFlagDatedByHost : 0);
  if ((flags & ~known) != 0) {
    throw Error(ErrorCode::unsupported, "the manifest needs a newer version of this program");
  }
  encrypted = (flags & kFlagEncrypted) != 0;
  PublicManifest manifest;
  manifest.id = read_id<PointId>(reader);
  manifest.machine = read_id<MachineId>(reader);
  manifest.time_ms = reader.u64();
  if (version == 1) manifest.time_ms = std::min(manifest.time_ms, kLatestTime_ms);
  manifest.dates = read_dates(reader, version, flags, manifest.time_ms);
  uint32_t consistency = reader.u32();
  if (consistency > 2) reader.fail("has an unknown consistency");
  manifest.consistency = static_cast<Consistency>(consistency);
  manifest.disks = read_disks(reader);
  if (version > 2) manifest.lineage = read_fields(reader);
  return manifest;
}

}  // namespace

PublicManifest decode_public_manifest(ByteView bytes) {
  ByteReader reader(without_checksum(bytes, "the manifest"), "the manifest");
  bool encrypted = false;
  return read_public_part(reader, encrypted);
}

Point decode_manifest(ByteView bytes, const std::optional<base::Key256>& key) {
  ByteView body = without_checksum(bytes, "the manifest");
  ByteReader reader(body, "the manifest");
  bool encrypted = false;
  PublicManifest open = read_public_part(reader, encrypted);
  Bytes details = read_private(reader, body, encrypted, key, "the point's manifest");
  Point point = decode_point_details(details);
  if (point.disks.size() != open.disks.size())
    reader.fail("lists different disks in its two parts");
  point.id = open.id;
  point.machine = open.machine;
  point.time_ms = open.time_ms;
  point.dates = open.dates;
  point.lineage = open.lineage;
  point.consistency = open.consistency;
  for (size_t i = 0; i < open.disks.size(); ++i) {
    point.disks[i].key = open.disks[i].key;
    point.disks[i].size = open.disks[i].size;
    point.disks[i].root = open.disks[i].root;
  }
  return point;
}

Bytes encode_marks_file(const PointId& point, const PointMarks& marks,
                        const std::optional<base::Key256>& key) {
  ByteWriter writer;
  writer.view(base::as_bytes(kMarksMagic));
  writer.u32(kMarksVersion);
  writer.u32(key ? kFlagEncrypted : 0);
  writer.view(point.view());
  write_private(writer, encode_marks(marks), key);
  return with_checksum(std::move(writer));
}

PointMarks decode_marks_file(ByteView bytes, const PointId& point,
                             const std::optional<base::Key256>& key) {
  ByteView body = without_checksum(bytes, "the file of the point's marks");
  ByteReader reader(body, "the file of the point's marks");
  expect_magic(reader, kMarksMagic);
  uint32_t version = reader.u32();
  uint32_t flags = reader.u32();
  if (version != kMarksVersion || (flags & ~kFlagEncrypted) != 0) {
    throw Error(ErrorCode::unsupported, "the point's marks need a newer version of this program");
  }
  if (read_id<PointId>(reader) != point) reader.fail("belongs to another point");
  Bytes plain = read_private(reader, body, (flags & kFlagEncrypted) != 0, key, "the point's marks");
  return decode_marks(plain, "the point's marks");
}

}  // namespace images::format
