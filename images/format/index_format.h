// The values in the index's tables, and their layout (docs/format.md, "Index"). Pure functions;
// decoders throw corrupt.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "images/format/store_format.h"
#include "images/ids.h"

namespace images {

struct ChunkEntry {
  uint32_t pack = 0;         // number of a row of the table of packs; 0: the chunk is nowhere
  uint32_t offset = 0;       // of the record's header in the pack
  uint32_t stored_size = 0;  // bytes following the header
  uint32_t epoch = 0;        // when it was last written, or lost its last reference
  uint64_t references = 0;
  format::RecordKind kind = format::RecordKind::chunk;
  bool damaged = false;  // its bytes are damaged: a sync that offers it has to send it again
  bool fresh = false;    // no point has ever referred to it: from an unfinished sync

  bool present() const { return pack != 0 && !damaged; }
  uint64_t record_size() const { return format::kRecordHeaderSize + stored_size; }
  bool operator==(const ChunkEntry&) const = default;
};

struct PackEntry {
  PackId id;
  uint64_t size = 0;       // bytes known to be durable
  uint64_t live_size = 0;  // bytes of records with references
  bool sealed = false;

  bool operator==(const PackEntry&) const = default;
};

// An addition or removal of a point whose references are to be counted, or are being counted, in
// slices of one transaction each.
struct TimelineChange {
  enum class Kind : uint8_t { add = 1, remove = 2 };
  Kind kind = Kind::add;
  format::PublicManifest point;
  std::vector<format::PublicManifest::Disk> before;  // the neighbours on the timeline; empty: none
  std::vector<format::PublicManifest::Disk> after;
  uint64_t applied = 0;  // how many of its reference changes, in the order of the tree walk
};

}  // namespace images

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
