// The bytes of the transfer protocol: docs/protocol.md says what they mean. A frame is a header of
// 8 bytes and a payload; integers are little-endian, strings are preceded by a u32 length. Pure
// functions.
//
// encode() returns a whole frame, including its header. decode_…() takes a payload and throws
// corrupt unless it is exactly such a message within its limits; the values are then in range, but
// names, places and disk numbers still have to be checked against the session. A `version` argument
// is the version that the session speaks: since version 2, control messages may end with fields
// (base/tagged_fields.h). Unknown fields are skipped, or refused (unsupported) if they are needed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "images/point_sink.h"

namespace images::wire {

constexpr uint16_t kVersion = 3;  // the newest this program speaks
constexpr uint16_t kOldestVersion = 1;

// What one side of a session speaks: less than this program knows only in tests.
struct Versions {
  uint16_t oldest = kOldestVersion;
  uint16_t newest = kVersion;
};
constexpr std::array<uint8_t, 8> kMagic = {'M', 'U', 'L', 'E', 'T', 'T', 'O', '\n'};

constexpr size_t kHeaderSize = 8;
constexpr uint32_t kMaxSoftware = 64;  // bytes of a program's name and version
constexpr uint32_t kMaxName = 255;     // bytes of a machine's, disk's or host's name
constexpr uint32_t kMaxDisks = 64;
constexpr uint32_t kMinChunkSize = 4096;     // bytes
constexpr uint32_t kMaxChunkSize = 1 << 20;  // bytes
constexpr uint32_t kMaxSentence = 2048;      // bytes of an error's message
constexpr uint32_t kMaxNote = 4096;          // bytes
constexpr uint32_t kMaxNetworkCards = 64;
constexpr uint32_t kMaxLibvirtXml = 1 << 20;  // bytes
constexpr uint32_t kMaxStateFiles = 16;
constexpr uint32_t kMaxCommitSize = 8 << 20;  // bytes, the whole COMMIT payload
constexpr uint32_t kMaxFieldsSize = 4096;     // bytes of the fields of any other message
constexpr uint32_t kMaxListedPoints = 256;    // in one POINTS
constexpr uint32_t kMaxPointFields = 256;     // bytes of the fields of one of them

enum class FrameType : uint8_t {
  hello = 1,
  welcome = 2,
  query = 3,
  last_point = 4,
  open = 5,
  ready = 6,
  offer = 7,
  need = 8,
  data = 9,
  done = 10,
  commit = 11,
  committed = 12,
  ping = 13,
  pong = 14,
  error = 15,
  list_points = 16,  // since version 2
  points = 17,       // since version 2
  read_point = 18,   // this and the following: since version 3 (read_format.h)
  point = 19,
  list_chunks = 20,
  chunks = 21,
  get_chunks = 22,
  list_changes = 23,  // this and the next: only for a POINT with a base
  changes = 24,
};

struct FrameHeader {
  FrameType type = FrameType::ping;
  uint32_t size = 0;  // bytes of the payload
};

struct Hello {
  uint16_t oldest_version = kOldestVersion;
  uint16_t newest_version = kVersion;
  std::string software;
};

struct Welcome {
  uint16_t version = kVersion;
  std::string software;
};

struct Query {
  std::string machine_name;
};

// The newest committed point of a machine, as far as a sync needs to know it.
struct LastPoint {
  struct Disk {
    std::string name;
    uint64_t size = 0;  // bytes
    bool operator==(const Disk&) const = default;
  };
  PointId id;
  uint64_t time_ms = 0;
  std::vector<Disk> disks;
  bool operator==(const LastPoint&) const = default;
};

// Where a point is on its machine's timeline.
struct TimelinePlace {
  uint64_t order = 0;
  PointId id;
};

// Asks for the points of a machine that come after a place.
struct ListPoints {
  std::string machine_name;
  std::optional<TimelinePlace> after;  // none: from the first on
};

// The first of them, in the order of the timeline; at most kMaxListedPoints.
struct Points {
  std::vector<PointSummary> points;  // machine and machine_name are not told: who asks knows
  bool more = false;                 // there are others after these
};

struct Ready {
  uint32_t chunk_size = 0;             // bytes, a power of two
  std::optional<base::Key256> id_key;  // a secret of the tenant
};

struct Need {
  uint64_t sequence = 0;
  std::vector<bool> wanted;  // for each place of the batch
};

struct Data {
  uint64_t sequence = 0;
  uint32_t place = 0;  // its number within the batch
  Codec codec = Codec::raw;
  base::ByteView bytes;  // of the input that was decoded
};

struct Committed {
  PointId id;
  uint64_t bytes_stored = 0;
};

// Throws corrupt for an unknown type, non-zero reserved bytes or a size beyond the type's limit. A
// header is checked before any of its payload is read or memory for it is allocated.
FrameHeader decode_header(const std::array<uint8_t, kHeaderSize>& bytes);
uint32_t max_payload_size(FrameType type);

base::Bytes encode(const Hello& hello);
base::Bytes encode(const Welcome& welcome);
base::Bytes encode(const Query& query);
base::Bytes encode(const std::optional<LastPoint>& point);
base::Bytes encode(const SyncPlan& plan);  // OPEN
base::Bytes encode(const Ready& ready);
base::Bytes encode(const Batch& batch);  // OFFER
base::Bytes encode(const Need& need);
base::Bytes encode(const Data& data);
base::Bytes encode_done(uint64_t sequence);
// COMMIT. Throws invalid_argument beyond the limits, unsupported for a copy of a point in version 1.
base::Bytes encode(const PointDetails& details, uint16_t version);
base::Bytes encode(const ListPoints& list);
base::Bytes encode(const Points& points);
base::Bytes encode(const Committed& committed);
base::Bytes encode_ping();
base::Bytes encode_pong();
base::Bytes encode(const base::Error& error);  // a longer sentence is truncated

Hello decode_hello(base::ByteView payload);
Welcome decode_welcome(base::ByteView payload);
Query decode_query(base::ByteView payload, uint16_t version);
std::optional<LastPoint> decode_last_point(base::ByteView payload, uint16_t version);
SyncPlan decode_open(base::ByteView payload, uint16_t version);
Ready decode_ready(base::ByteView payload, uint16_t version);
Batch decode_offer(base::ByteView payload);
Need decode_need(base::ByteView payload);
Data decode_data(base::ByteView payload);
uint64_t decode_done(base::ByteView payload);
PointDetails decode_commit(base::ByteView payload, uint16_t version);
Committed decode_committed(base::ByteView payload, uint16_t version);
ListPoints decode_list_points(base::ByteView payload);
Points decode_points(base::ByteView payload);
base::Error decode_error(base::ByteView payload);

}  // namespace images::wire
