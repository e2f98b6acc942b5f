// Layout of the values in the index's tables (docs/format.md, "Index"). Pure functions; decoders throw
// corrupt.
#pragma once

#include "base/bytes.h"
#include "images/chunk_index.h"

namespace images::index_format {

// An entry carries a checksum over its key and itself.
constexpr size_t kChunkEntrySize = 32;
base::Bytes encode_chunk(const ChunkId& id, const ChunkEntry& entry);
ChunkEntry decode_chunk(const ChunkId& id, base::ByteView bytes);

base::Bytes encode_pack(const PackEntry& entry);
PackEntry decode_pack(base::ByteView bytes);

base::Bytes encode_point(const format::PublicManifest& point);
format::PublicManifest decode_point(base::ByteView bytes);

// Sorts by machine, then time, then id.
base::Bytes timeline_key(const MachineId& machine, uint64_t time_ms, const PointId& point);

base::Bytes encode_change(const TimelineChange& change);
TimelineChange decode_change(base::ByteView bytes);

}  // namespace images::index_format
