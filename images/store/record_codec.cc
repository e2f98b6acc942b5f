#include "images/store/record_codec.h"

#include <algorithm>
#include <memory>

#include "base/check.h"
#include "base/error.h"
#include "images/codec.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;
using format::Cipher;
using format::RecordHeader;
using format::RecordKind;

[[noreturn]] void damaged(const RecordHeader& header, const char* what) {
  throw Error(ErrorCode::corrupt,
              std::string(header.kind == RecordKind::node ? "tree node " : "chunk ") +
                  header.id.hex().substr(0, 16) + " is damaged: " + what);
}

void verify_checksum(const RecordHeader& header, base::ByteView stored) {
  if (stored.size() != header.stored_size || base::checksum64(stored) != header.checksum) {
    damaged(header, "its checksum does not match");
  }
}

}  // namespace

base::Key256 RecordCodec::key_of(const ChunkId& id) const {
  if (!keys_) throw Error(ErrorCode::unauthorized, "the store is encrypted; give its key");
  return base::hmac_sha256(keys_->records, id.view());
}

Record RecordCodec::seal_chunk(const ChunkId& id, const EncodedChunk& chunk) const {
  Record record;
  RecordHeader& header = record.header;
  header.kind = RecordKind::chunk;
  header.codec = chunk.codec;
  header.id = id;
  header.plain_size = parameters_.chunk_size;
  record.stored = chunk.bytes;
  header.stored_size = static_cast<uint32_t>(record.stored.size());
  if (parameters_.encrypted) {
    record.own = std::make_unique<base::Bytes>(chunk.bytes.size() + base::kGcmTagSize);
    header.cipher = Cipher::aes_256_gcm;
    header.nonce = base::random_array<12>();
    header.stored_size = static_cast<uint32_t>(record.own->size());
    base::gcm_seal(key_of(id), header.nonce, format::record_associated_data(header), chunk.bytes,
                   *record.own);
    record.stored = *record.own;
  }
  header.checksum = base::checksum64(record.stored);
  return record;
}

Record RecordCodec::seal_node(const ChunkId& id, base::Bytes node) const {
  Record record;
  record.header.kind = RecordKind::node;
  record.header.id = id;
  record.header.plain_size = record.header.stored_size = static_cast<uint32_t>(node.size());
  record.header.checksum = base::checksum64(node);
  record.own = std::make_unique<base::Bytes>(std::move(node));
  record.stored = *record.own;
  return record;
}

EncodedChunk RecordCodec::unseal_chunk(const RecordHeader& header, base::ByteView stored,
                                       base::Bytes& opened) const {
  if (header.kind != RecordKind::chunk) damaged(header, "there is a tree node in its place");
  verify_checksum(header, stored);
  bool encrypted = header.cipher == Cipher::aes_256_gcm;
  if (encrypted != parameters_.encrypted) damaged(header, "its encryption is not the store's");
  if (!encrypted) return {header.codec, stored};
  if (stored.size() < base::kGcmTagSize) damaged(header, "it is too short");
  opened.resize(stored.size() - base::kGcmTagSize);
  if (!base::gcm_open(key_of(header.id), header.nonce, format::record_associated_data(header),
                      stored, opened)) {
    damaged(header, "its ciphertext is not authentic");
  }
  return {header.codec, opened};
}

void RecordCodec::open_chunk(const RecordHeader& header, base::ByteView stored,
                             base::MutableByteView plain) const {
  CHECK(plain.size() == parameters_.chunk_size);
  base::Bytes opened;
  EncodedChunk chunk = unseal_chunk(header, stored, opened);
  decode_chunk(chunk.codec, chunk.bytes, plain);
}

format::Node RecordCodec::open_node(const RecordHeader& header, base::ByteView stored) const {
  if (header.kind != RecordKind::node || header.codec != Codec::raw ||
      header.cipher != Cipher::none) {
    damaged(header, "it is not a tree node");
  }
  verify_checksum(header, stored);
  return format::decode_node(stored, parameters_.fanout);
}

}  // namespace images
