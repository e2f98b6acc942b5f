#include "appliance/backup/backup_format.h"

#include <algorithm>

#include "base/error.h"
#include "images/codec.h"

namespace appliance::backup {
namespace {

using base::ByteReader;
using base::Bytes;
using base::ByteView;
using base::ByteWriter;
using base::Error;
using base::ErrorCode;

constexpr std::string_view kMagic = "MULAPPL1";
constexpr uint32_t kVersion = 1;
constexpr size_t kHeaderSize = 72;
constexpr size_t kTrailerSize = 8;  // checksum64 of everything before it
constexpr uint32_t kScryptLog2N = 17;
constexpr uint32_t kMaxScryptLog2N = 20;
constexpr size_t kPieceSize = 1 << 20;  // plain bytes that are compressed together
constexpr int kLevel = 3;
constexpr uint32_t kMaxText = 255;
constexpr const char* kWhat = "the backup of the appliance";

struct Header {
  Sealing sealing = Sealing::none;
  uint32_t log2_n = 0;
  std::array<uint8_t, 32> salt{};
  base::GcmNonce nonce{};
  uint64_t body_size = 0;
};

Bytes encode_header(const Header& header) {
  ByteWriter out;
  out.view(base::as_bytes(kMagic));
  out.u32(kVersion);
  out.u32(static_cast<uint32_t>(header.sealing));
  out.u32(header.log2_n);
  out.view(header.salt);
  out.view(header.nonce);
  out.u64(header.body_size);
  return out.take();
}

Header decode_header(ByteView bytes) {
  ByteReader in(bytes, kWhat);
  if (base::as_text(in.view(kMagic.size())) != kMagic) in.fail("it does not begin like one");
  if (uint32_t version = in.u32(); version != kVersion)
    throw Error(ErrorCode::unsupported,
                "the backup was made by a newer version; use that version of Muletto");
  Header header;
  uint32_t sealing = in.u32();
  if (sealing > static_cast<uint32_t>(Sealing::store_key))
    throw Error(ErrorCode::unsupported, "the backup is sealed in a way that this version lacks");
  header.sealing = static_cast<Sealing>(sealing);
  header.log2_n = in.u32();
  header.salt = in.array<32>();
  header.nonce = in.array<12>();
  header.body_size = in.u64();
  if (header.sealing == Sealing::passphrase &&
      (header.log2_n < 14 || header.log2_n > kMaxScryptLog2N))
    in.fail("its key derivation is out of range");
  return header;
}

// The key that the header asks for.
base::Key256 key_for(const Header& header, const BackupKey& key) {
  if (header.sealing == Sealing::passphrase) {
    if (key.passphrase.empty())
      throw Error(ErrorCode::unauthorized, "the backup is sealed: give its passphrase");
    return base::stretch_passphrase(key.passphrase, header.salt, header.log2_n);
  }
  if (!key.store_key)
    throw Error(ErrorCode::unauthorized,
                "the backup is sealed with the key of its store: give the store's key file");
  return base::hmac_sha256(*key.store_key, header.salt);
}

void write_file(ByteWriter& out, images::ChunkEncoder& encoder, const BackupFile& file) {
  out.string(file.name);
  out.u64(file.bytes.size());
  for (size_t at = 0; at < file.bytes.size(); at += kPieceSize) {
    ByteView plain = ByteView(file.bytes).subspan(at, std::min(kPieceSize, file.bytes.size() - at));
    images::EncodedChunk piece = encoder.encode(plain);
    out.u8(static_cast<uint8_t>(piece.codec));
    out.u32(static_cast<uint32_t>(piece.bytes.size()));
    out.view(piece.bytes);
    encoder.forget();
  }
}

BackupFile read_file(ByteReader& in, uint64_t& left) {
  BackupFile file;
  file.name = in.string(kMaxText);
  uint64_t size = in.u64();
  // A piece has 5 bytes besides its content, so a size is backed by bytes that are really there.
  if (size > left || size / kPieceSize > in.remaining() / 5) in.fail("a file in it is too large");
  left -= size;
  for (uint64_t at = 0; at < size; at += kPieceSize) {
    uint8_t codec = in.u8();
    if (codec > static_cast<uint8_t>(images::Codec::zstd)) in.fail("a piece has an unknown codec");
    ByteView stored = in.view(in.u32());
    size_t plain = static_cast<size_t>(std::min<uint64_t>(kPieceSize, size - at));
    file.bytes.resize(file.bytes.size() + plain);
    images::decode_chunk(static_cast<images::Codec>(codec), stored,
                         base::MutableByteView(file.bytes).last(plain));
  }
  return file;
}

Bytes encode_body(const Backup& backup) {
  ByteWriter out;
  images::ChunkEncoder encoder(kLevel);
  out.u64(backup.made_ms);
  out.view(backup.node.bytes);
  out.string(backup.host_name.substr(0, kMaxText));
  out.string(backup.version.substr(0, kMaxText));
  out.u32(static_cast<uint32_t>(backup.files.size()));
  for (const BackupFile& file : backup.files) write_file(out, encoder, file);
  return out.take();
}

Backup decode_body(ByteView bytes) {
  ByteReader in(bytes, kWhat);
  Backup backup;
  backup.made_ms = in.u64();
  backup.node.bytes = in.array<8>();
  backup.host_name = in.string(kMaxText);
  backup.version = in.string(kMaxText);
  uint32_t count = in.u32();
  if (count > kMaxFiles) in.fail("it has too many files");
  uint64_t left = kMaxContentSize;
  for (uint32_t i = 0; i < count; ++i) backup.files.push_back(read_file(in, left));
  in.expect_end();
  return backup;
}

void require_limits(const Backup& backup) {
  uint64_t sum = 0;
  for (const BackupFile& file : backup.files) {
    sum += file.bytes.size();
    if (file.name.empty() || file.name.size() > kMaxText)
      throw Error(ErrorCode::invalid_argument, "a file of the backup has no possible name");
  }
  if (sum > kMaxContentSize || backup.files.size() > kMaxFiles)
    throw Error(ErrorCode::invalid_argument,
                "the appliance's catalog and keys are too large for a backup");
}

}  // namespace

Sealing BackupKey::sealing() const {
  if (!passphrase.empty()) return Sealing::passphrase;
  return store_key ? Sealing::store_key : Sealing::none;
}

Bytes encode_backup(const Backup& backup, const BackupKey& key) {
  require_limits(backup);
  Bytes plain = encode_body(backup);
  Header header;
  header.sealing = key.sealing();
  bool is_sealed = header.sealing != Sealing::none;
  header.body_size = plain.size() + (is_sealed ? base::kGcmTagSize : 0);
  if (header.body_size > kMaxBackupSize - kHeaderSize - kTrailerSize)
    throw Error(ErrorCode::invalid_argument, "the appliance's catalog is too large for a backup");
  ByteWriter out;
  if (is_sealed) {
    if (header.sealing == Sealing::passphrase) header.log2_n = kScryptLog2N;
    header.salt = base::random_array<32>();
    header.nonce = base::random_array<12>();
    Bytes head = encode_header(header);
    Bytes body(plain.size() + base::kGcmTagSize);
    base::gcm_seal(key_for(header, key), header.nonce, head, plain, body);
    out.view(head);
    out.view(body);
  } else {
    out.view(encode_header(header));
    out.view(plain);
  }
  out.u64(base::checksum64(out.bytes()));
  return out.take();
}

Sealing sealing_of(ByteView bytes) { return decode_header(bytes).sealing; }

Backup decode_backup(ByteView bytes, const BackupKey& key) {
  Header header = decode_header(bytes);
  ByteReader in(bytes, kWhat);
  ByteView head = in.view(kHeaderSize);
  if (in.remaining() < kTrailerSize || header.body_size != in.remaining() - kTrailerSize)
    in.fail("it ends too early");
  ByteView body = in.view(header.body_size);
  uint64_t checksum = in.u64();
  if (checksum != base::checksum64(bytes.first(bytes.size() - kTrailerSize)))
    in.fail("its checksum is wrong");
  if (header.sealing == Sealing::none) return decode_body(body);
  if (body.size() < base::kGcmTagSize) in.fail("it is too short");
  Bytes plain(body.size() - base::kGcmTagSize);
  if (!base::gcm_open(key_for(header, key), header.nonce, head, body, plain)) {
    throw Error(ErrorCode::unauthorized, header.sealing == Sealing::passphrase
                                             ? "the passphrase does not open the backup"
                                             : "the key does not open the backup");
  }
  return decode_body(plain);
}

}  // namespace appliance::backup
