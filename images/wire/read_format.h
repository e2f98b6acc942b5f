// The bytes of the messages by which a host reads one point (docs/protocol.md, section 4): READ_POINT,
// POINT, LIST_CHUNKS, CHUNKS and GET_CHUNKS, since version 3. Chunks themselves travel as DATA. The
// rules of transfer_format.h apply. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "images/wire/transfer_format.h"

namespace images::wire {

constexpr uint32_t kTicketSize = 32;         // bytes
constexpr uint32_t kMaxListedChunks = 4096;  // in one CHUNKS
constexpr uint32_t kMaxWantedChunks = 64;    // in one GET_CHUNKS
// Requests of one session that are not answered yet.
constexpr uint32_t kMaxReadRequests = 16;
constexpr uint32_t kMaxListedChanges = 4096;  // in one CHANGES
constexpr uint32_t kReadPrefixSize = 8 + 4;   // u64 request, u32 disk
constexpr uint32_t kMaxPointMessage =
    kMaxCommitSize + (64 << 10);  // bytes, the whole POINT payload

// What an order gives to the host that shall restore: without it nothing can be read. A secret.
struct Ticket {
  std::array<uint8_t, kTicketSize> bytes{};
  bool operator==(const Ticket&) const = default;
};

struct ReadPoint {
  Ticket ticket;
};

// The point that may be read, and those of its disks that may be.
struct ReadablePoint {
  uint32_t chunk_size = 0;             // bytes, a power of two
  std::optional<base::Key256> id_key;  // a secret of the tenant
  // Id, machine_name, host, time_ms, consistency and disks (without keys) are told; the definition
  // only if the order says that the machine is to be defined.
  Point point;
  bool has_definition = false;
  // An older point of the machine with the same disks, which this one can be compared with by
  // LIST_CHANGES; none: it cannot.
  std::optional<PointId> base{};
};

// Asks for the ids of `count` chunks of a disk, beginning with chunk number `first`.
struct ListChunks {
  uint64_t request = 0;  // requests of a session, of both kinds, are numbered 0, 1, 2, …
  uint32_t disk = 0;     // its number in POINT
  uint64_t first = 0;
  uint32_t count = 0;  // 1 to kMaxListedChunks
};

struct Chunks {
  uint64_t request = 0;
  std::vector<ChunkId> ids;  // zero: a chunk of zeros
};

// Asks for chunks by their numbers, ascending; each is answered by one DATA, whose sequence is the
// request and whose place is the chunk's position in `chunks`.
struct GetChunks {
  uint64_t request = 0;
  uint32_t disk = 0;
  std::vector<uint64_t> chunks;  // 1 to kMaxWantedChunks
};

// Asks which chunks of a disk, from number `first` on, differ from the base's.
struct ListChanges {
  uint64_t request = 0;
  uint32_t disk = 0;
  uint64_t first = 0;
};

struct Changes {
  uint64_t request = 0;
  uint64_t next = 0;             // the first chunk that was not compared
  std::vector<uint64_t> chunks;  // at most kMaxListedChanges, ascending, below `next`
};

base::Bytes encode(const ReadPoint& read);
// Throws invalid_argument beyond the limits.
base::Bytes encode(const ReadablePoint& point);
base::Bytes encode(const ListChunks& list);
base::Bytes encode(const Chunks& chunks);
base::Bytes encode(const GetChunks& get);
base::Bytes encode(const ListChanges& list);
base::Bytes encode(const Changes& changes);

ReadPoint decode_read_point(base::ByteView payload);
ReadablePoint decode_point(base::ByteView payload);
ListChunks decode_list_chunks(base::ByteView payload);
Chunks decode_chunks(base::ByteView payload);
GetChunks decode_get_chunks(base::ByteView payload);
ListChanges decode_list_changes(base::ByteView payload);
Changes decode_changes(base::ByteView payload);

}  // namespace images::wire
