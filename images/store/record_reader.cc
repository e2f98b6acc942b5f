#include "images/store/record_reader.h"

#include "base/error.h"
#include "images/store/place/layout.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;

// A record can move only while a compaction runs; if it has moved more often than this, it is gone.
constexpr int kMaxLookups = 4;

}  // namespace

std::shared_ptr<base::ReadableFile> PackFiles::open(const PackId& pack) {
  if (auto file = open_.find(pack)) return file;
  std::shared_ptr<base::ReadableFile> file = blobs_.open(layout::pack_file("", pack));
  open_.put(pack, file);
  return file;
}

RecordReader::Location RecordReader::find(const ChunkId& id) {
  auto transaction = index_.read();
  auto entry = transaction->find_chunk(id);
  if (!entry || entry->pack == 0) {
    throw Error(ErrorCode::corrupt, "chunk " + id.hex().substr(0, 16) + " is missing in the store");
  }
  auto key = std::pair(transaction->incarnation(), entry->pack);
  {
    auto ids = pack_ids_.lock();
    auto found = ids->find(key);
    if (found != ids->end()) return {found->second, *entry};
  }
  auto pack = transaction->find_pack(entry->pack);
  if (!pack) throw Error(ErrorCode::corrupt, "the index names a pack that it does not list");
  (*pack_ids_.lock())[key] = pack->id;
  return {pack->id, *entry};
}

format::RecordHeader RecordReader::fetch(const ChunkId& id, base::Bytes& buffer) {
  for (int lookup = 1;; ++lookup) {
    Location location = find(id);
    buffer.resize(location.entry.record_size());
    try {
      packs_.open(location.pack)->read_at(location.entry.offset, buffer);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::not_found) throw;
      // Moved by compaction: the new place is in the index, or in the one that a rebuild put in its
      // place.
      if (index_.refresh() || lookup < kMaxLookups) continue;
      throw Error(ErrorCode::corrupt, "pack " + location.pack.hex() + " is missing in the store");
    }
    auto header =
        format::decode_record_header(base::ByteView(buffer).first(format::kRecordHeaderSize));
    if (!header || header->id != id || header->stored_size != location.entry.stored_size) {
      throw Error(ErrorCode::corrupt, "chunk " + id.hex().substr(0, 16) + " is damaged: pack " +
                                          location.pack.hex() + " holds something else at " +
                                          std::to_string(location.entry.offset));
    }
    return *header;
  }
}

void RecordReader::read_chunk(const ChunkId& id, base::MutableByteView plain) {
  thread_local base::Bytes buffer;
  format::RecordHeader header = fetch(id, buffer);
  codec_.open_chunk(header, base::ByteView(buffer).subspan(format::kRecordHeaderSize), plain);
}

EncodedChunk RecordReader::read_encoded(const ChunkId& id, base::Bytes& buffer) {
  format::RecordHeader header = fetch(id, buffer);
  base::Bytes opened;
  EncodedChunk chunk = codec_.unseal_chunk(
      header, base::ByteView(buffer).subspan(format::kRecordHeaderSize), opened);
  if (opened.empty()) return chunk;
  buffer = std::move(opened);
  return {chunk.codec, buffer};
}

std::shared_ptr<const format::Node> RecordReader::read_node(const ChunkId& id) {
  base::Bytes buffer;
  format::RecordHeader header = fetch(id, buffer);
  return std::make_shared<const format::Node>(
      codec_.open_node(header, base::ByteView(buffer).subspan(format::kRecordHeaderSize)));
}

}  // namespace images
