// Layout of the values in the index's tables (docs/format.md, "Index"). Pure functions; decoders
// throw corrupt.
#pragma once

#include <string_view>

#include "base/bytes.h"
#include "images/chunk_index.h"

namespace images::index_format {

// An entry carries a checksum over its key and itself.
constexpr size_t kChunkEntrySize = 32;
base::Bytes encode_chunk(const ChunkId& id, const ChunkEntry& entry);
ChunkEntry decode_chunk(const ChunkId& id, base::ByteView bytes);

// Likewise.
base::Bytes encode_pack(uint32_t number, const PackEntry& entry);
PackEntry decode_pack(uint32_t number, base::ByteView bytes);

base::Bytes encode_number(std::string_view name, uint64_t value);
uint64_t decode_number(std::string_view name, base::ByteView bytes);

base::Bytes encode_point(const format::PublicManifest& point);
format::PublicManifest decode_point(base::ByteView bytes);

// Sorts by number.
base::Bytes departure_key(uint64_t number);
uint64_t departure_number(base::ByteView key);

// Sorts by machine, then order, then id.
base::Bytes timeline_key(const format::PublicManifest& point);

base::Bytes encode_change(const TimelineChange& change);
TimelineChange decode_change(base::ByteView bytes);

}  // namespace images::index_format
