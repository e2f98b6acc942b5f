#include "images/wire/transfer_format.h"

#include <fmt/format.h>

#include <bit>

#include "images/wire/message_parts.h"
#include "images/wire/read_format.h"

namespace images::wire {
namespace {

using base::ByteReader;
using base::Bytes;
using base::ByteView;
using base::ByteWriter;
using base::Error;
using base::ErrorCode;

constexpr uint32_t kPlaceSize = 48;       // u64 index, u64 count, id
constexpr uint32_t kDataPrefixSize = 16;  // u64 sequence, u32 place, u8 codec, 3 reserved
constexpr uint32_t kMaxCodeName = 32;     // bytes of an error code's name
// id, time, host's time, order, u32 flags, u8 consistency, u64 size, u32 size of the fields
constexpr uint32_t kPointSize = 16 + 8 + 8 + 8 + 4 + 1 + 8 + 4;

void expect_zeros(ByteReader& in, uint64_t count) {
  if (!base::is_all_zero(in.view(count))) in.fail("has reserved bytes that are not zero");
}

void expect_magic(ByteReader& in) {
  if (in.array<8>() != kMagic) in.fail("does not begin with the protocol's magic");
}

}  // namespace

uint32_t max_payload_size(FrameType type) {
  switch (type) {
    case FrameType::hello: return 8 + 4 + 4 + kMaxSoftware;
    case FrameType::welcome: return 8 + 2 + 4 + kMaxSoftware;
    case FrameType::query: return 4 + kMaxName + kMaxFieldsSize;
    case FrameType::last_point:
      return 1 + 16 + 8 + 4 + kMaxDisks * (4 + kMaxName + 8) + kMaxFieldsSize;
    case FrameType::open:
      return 4 + kMaxName + 4 + kMaxDisks * (4 + kMaxName + 8 + 1 + 16) + kMaxFieldsSize;
    case FrameType::ready: return 4 + 1 + 32 + kMaxFieldsSize;
    case FrameType::offer: return 16 + kMaxBatchPlaces * kPlaceSize;
    case FrameType::need: return 12 + kMaxBatchPlaces / 8;
    case FrameType::data: return kDataPrefixSize + kMaxChunkSize;
    case FrameType::done: return 8;
    case FrameType::commit: return kMaxCommitSize;
    case FrameType::committed: return 16 + 8 + kMaxFieldsSize;
    case FrameType::ping:
    case FrameType::pong: return 0;
    case FrameType::error: return 4 + kMaxCodeName + 4 + kMaxSentence;
    case FrameType::list_points: return 4 + kMaxName + 1 + 8 + 16 + kMaxFieldsSize;
    case FrameType::points:
      return 4 + kMaxListedPoints * (kPointSize + kMaxPointFields) + 1 + kMaxFieldsSize;
    case FrameType::read_point: return kTicketSize + kMaxFieldsSize;
    case FrameType::point: return kMaxPointMessage;
    case FrameType::list_chunks: return kReadPrefixSize + 8 + 4;
    case FrameType::chunks: return 8 + 4 + kMaxListedChunks / 8 + kMaxListedChunks * ChunkId::kSize;
    case FrameType::get_chunks: return kReadPrefixSize + 4 + kMaxWantedChunks * 8;
    case FrameType::list_changes: return kReadPrefixSize + 8;
    case FrameType::changes: return 8 + 8 + 4 + kMaxListedChanges * 8;
  }
  return 0;
}

FrameHeader decode_header(const std::array<uint8_t, kHeaderSize>& bytes) {
  ByteReader in(bytes, "a frame");
  FrameHeader header;
  header.size = in.u32();
  uint8_t type = in.u8();
  expect_zeros(in, 3);
  if (type < static_cast<uint8_t>(FrameType::hello) ||
      type > static_cast<uint8_t>(FrameType::changes)) {
    in.fail(fmt::format("has the unknown type {}", type));
  }
  header.type = static_cast<FrameType>(type);
  if (header.size > max_payload_size(header.type)) {
    in.fail(
        fmt::format("of type {} claims {} bytes, which is more than its limit", type, header.size));
  }
  return header;
}

Bytes encode(const Hello& hello) {
  ByteWriter out = start(FrameType::hello);
  out.view(kMagic);
  out.u16(hello.oldest_version);
  out.u16(hello.newest_version);
  out.string(hello.software);
  return finish(std::move(out));
}

Hello decode_hello(ByteView payload) {
  ByteReader in(payload, "a HELLO");
  expect_magic(in);
  Hello hello;
  hello.oldest_version = in.u16();
  hello.newest_version = in.u16();
  if (hello.oldest_version > hello.newest_version) in.fail("has its versions the wrong way round");
  hello.software = read_text(in, kMaxSoftware);
  in.expect_end();
  return hello;
}

Bytes encode(const Welcome& welcome) {
  ByteWriter out = start(FrameType::welcome);
  out.view(kMagic);
  out.u16(welcome.version);
  out.string(welcome.software);
  return finish(std::move(out));
}

Welcome decode_welcome(ByteView payload) {
  ByteReader in(payload, "a WELCOME");
  expect_magic(in);
  Welcome welcome;
  welcome.version = in.u16();
  welcome.software = read_text(in, kMaxSoftware);
  in.expect_end();
  return welcome;
}

Bytes encode(const Query& query) {
  ByteWriter out = start(FrameType::query);
  out.string(query.machine_name);
  return finish(std::move(out));
}

Query decode_query(ByteView payload, uint16_t version) {
  ByteReader in(payload, "a QUERY");
  Query query{read_text(in, kMaxName)};
  expect_end(in, version, "a QUERY");
  return query;
}

Bytes encode(const std::optional<LastPoint>& point) {
  ByteWriter out = start(FrameType::last_point);
  out.u8(point ? 1 : 0);
  if (point) {
    out.view(point->id.view());
    out.u64(point->time_ms);
    out.u32(static_cast<uint32_t>(point->disks.size()));
    for (const LastPoint::Disk& disk : point->disks) {
      out.string(disk.name);
      out.u64(disk.size);
    }
  }
  return finish(std::move(out));
}

std::optional<LastPoint> decode_last_point(ByteView payload, uint16_t version) {
  ByteReader in(payload, "a LAST_POINT");
  std::optional<LastPoint> point;
  if (read_flag(in)) {
    point.emplace();
    point->id = read_id<PointId>(in);
    point->time_ms = in.u64();
    for (uint32_t left = read_count(in, kMaxDisks); left > 0; --left) {
      LastPoint::Disk& disk = point->disks.emplace_back();
      disk.name = read_text(in, kMaxName);
      disk.size = in.u64();
    }
  }
  expect_end(in, version, "a LAST_POINT");
  return point;
}

Bytes encode(const SyncPlan& plan) {
  ByteWriter out = start(FrameType::open);
  out.string(plan.machine_name);
  out.u32(static_cast<uint32_t>(plan.disks.size()));
  for (const PlannedDisk& disk : plan.disks) {
    out.string(disk.name);
    out.u64(disk.size);
    out.u8(disk.base ? 1 : 0);
    if (disk.base) out.view(disk.base->view());
  }
  return finish(std::move(out));
}

SyncPlan decode_open(ByteView payload, uint16_t version) {
  ByteReader in(payload, "an OPEN");
  SyncPlan plan;
  plan.machine_name = read_text(in, kMaxName);
  uint32_t count = read_count(in, kMaxDisks);
  if (count == 0) in.fail("names no disk");
  for (; count > 0; --count) {
    PlannedDisk& disk = plan.disks.emplace_back();
    disk.name = read_text(in, kMaxName);
    disk.size = in.u64();
    if (read_flag(in)) disk.base = read_id<PointId>(in);
  }
  expect_end(in, version, "an OPEN");
  return plan;
}

Bytes encode(const Ready& ready) {
  ByteWriter out = start(FrameType::ready);
  out.u32(ready.chunk_size);
  out.u8(ready.id_key ? 1 : 0);
  if (ready.id_key) out.view(*ready.id_key);
  return finish(std::move(out));
}

Ready decode_ready(ByteView payload, uint16_t version) {
  ByteReader in(payload, "a READY");
  Ready ready;
  ready.chunk_size = in.u32();
  bool good = std::has_single_bit(ready.chunk_size) && ready.chunk_size >= kMinChunkSize &&
              ready.chunk_size <= kMaxChunkSize;
  if (!good) in.fail("has an impossible chunk size");
  if (read_flag(in)) ready.id_key = in.array<32>();
  expect_end(in, version, "a READY");
  return ready;
}

Bytes encode(const Batch& batch) {
  ByteWriter out = start(FrameType::offer);
  out.u64(batch.sequence);
  out.u32(batch.disk);
  out.u32(static_cast<uint32_t>(batch.places.size()));
  for (const PlacedChunk& place : batch.places) {
    out.u64(place.index);
    out.u64(place.count);
    out.view(place.id.view());
  }
  return finish(std::move(out));
}

Batch decode_offer(ByteView payload) {
  ByteReader in(payload, "an OFFER");
  Batch batch;
  batch.sequence = in.u64();
  batch.disk = in.u32();
  uint32_t count = read_count(in, kMaxBatchPlaces);
  batch.places.reserve(count);
  for (; count > 0; --count) {
    PlacedChunk& place = batch.places.emplace_back();
    place.index = in.u64();
    place.count = in.u64();
    place.id = read_id<ChunkId>(in);
  }
  in.expect_end();
  return batch;
}

Bytes encode(const Need& need) {
  ByteWriter out = start(FrameType::need);
  out.u64(need.sequence);
  out.u32(static_cast<uint32_t>(need.wanted.size()));
  Bytes bits((need.wanted.size() + 7) / 8);
  for (size_t i = 0; i < need.wanted.size(); ++i) {
    if (need.wanted[i]) bits[i / 8] = static_cast<uint8_t>(bits[i / 8] | 1u << (i % 8));
  }
  out.view(bits);
  return finish(std::move(out));
}

Need decode_need(ByteView payload) {
  ByteReader in(payload, "a NEED");
  Need need;
  need.sequence = in.u64();
  uint32_t count = read_count(in, kMaxBatchPlaces);
  ByteView bits = in.view((count + 7) / 8);
  in.expect_end();
  for (uint32_t i = 0; i < count; ++i) need.wanted.push_back((bits[i / 8] >> (i % 8) & 1) != 0);
  if (count % 8 != 0 && bits.back() >> (count % 8) != 0) in.fail("has bits beyond its last place");
  return need;
}

Bytes encode(const Data& data) {
  ByteWriter out = start(FrameType::data);
  out.u64(data.sequence);
  out.u32(data.place);
  out.u8(static_cast<uint8_t>(data.codec));
  out.zeros(3);
  out.view(data.bytes);
  return finish(std::move(out));
}

Data decode_data(ByteView payload) {
  ByteReader in(payload, "a DATA");
  Data data;
  data.sequence = in.u64();
  data.place = in.u32();
  uint8_t codec = in.u8();
  if (codec > static_cast<uint8_t>(Codec::zstd)) in.fail("has an unknown codec");
  data.codec = static_cast<Codec>(codec);
  expect_zeros(in, 3);
  data.bytes = in.view(in.remaining());
  if (data.bytes.empty()) in.fail("has no content");
  return data;
}

Bytes encode_done(uint64_t sequence) {
  ByteWriter out = start(FrameType::done);
  out.u64(sequence);
  return finish(std::move(out));
}

uint64_t decode_done(ByteView payload) {
  ByteReader in(payload, "a DONE");
  uint64_t sequence = in.u64();
  in.expect_end();
  return sequence;
}

Bytes encode(const Committed& committed) {
  ByteWriter out = start(FrameType::committed);
  out.view(committed.id.view());
  out.u64(committed.bytes_stored);
  return finish(std::move(out));
}

Committed decode_committed(ByteView payload, uint16_t version) {
  ByteReader in(payload, "a COMMITTED");
  Committed committed;
  committed.id = read_id<PointId>(in);
  committed.bytes_stored = in.u64();
  expect_end(in, version, "a COMMITTED");
  return committed;
}

Bytes encode_ping() { return finish(start(FrameType::ping)); }
Bytes encode_pong() { return finish(start(FrameType::pong)); }

Bytes encode(const Error& error) {
  ByteWriter out = start(FrameType::error);
  out.string(base::error_code_name(error.code()));
  out.string(cut_text(error.message(), kMaxSentence));
  return finish(std::move(out));
}

Error decode_error(ByteView payload) {
  ByteReader in(payload, "an ERROR");
  ErrorCode code = base::error_code_from_name(in.string(kMaxCodeName));
  std::string message = in.string(kMaxSentence);
  in.expect_end();
  // It goes to a terminal: no control characters, and no halves of characters.
  if (!base::is_valid_utf8(message))
    message = "failed, and gave a reason that this side cannot read";
  for (char& c : message) {
    if (static_cast<uint8_t>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return Error(code, message);
}

}  // namespace images::wire
