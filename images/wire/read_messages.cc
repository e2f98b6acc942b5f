// The messages by which a host reads one point.
#include <algorithm>
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

constexpr uint16_t kBaseField = 1;  // of POINT

PointDisk read_disk(ByteReader& in) {
  PointDisk disk;
  disk.name = read_text(in, kMaxName);
  disk.size = in.u64();
  disk.root = read_id<ChunkId>(in);
  if (disk.size == 0 || disk.size % 512 != 0 || disk.size > kMaxDiskSize)
    in.fail("has a disk of an impossible size");
  return disk;
}

}  // namespace

Bytes encode(const ReadPoint& read) {
  ByteWriter out = start(FrameType::read_point);
  out.view(read.ticket.bytes);
  return finish(std::move(out));
}

ReadPoint decode_read_point(ByteView payload) {
  ByteReader in(payload, "a READ_POINT");
  ReadPoint read{Ticket{in.array<kTicketSize>()}};
  expect_end(in, kVersion, "a READ_POINT");
  return read;
}

Bytes encode(const ReadablePoint& readable) {
  ByteWriter out = start(FrameType::point);
  out.u32(readable.chunk_size);
  out.u8(readable.id_key ? 1 : 0);
  if (readable.id_key) out.view(*readable.id_key);
  const Point& point = readable.point;
  out.view(point.id.view());
  out.string(point.machine_name);
  out.string(cut_text(point.host, kMaxName));
  out.u64(point.time_ms);
  out.u8(static_cast<uint8_t>(point.consistency));
  out.u32(static_cast<uint32_t>(point.disks.size()));
  for (const PointDisk& disk : point.disks) {
    out.string(disk.name);
    out.u64(disk.size);
    out.view(disk.root.view());
  }
  out.u8(readable.has_definition ? 1 : 0);
  if (readable.has_definition) write_definition(out, point.definition);
  if (readable.base) base::write_field(out, kBaseField, readable.base->view());
  Bytes frame = finish(std::move(out));
  if (frame.size() - kHeaderSize > kMaxPointMessage)
    throw Error(ErrorCode::invalid_argument,
                "the machine's definition and state are larger than 8 MiB");
  // What the peer would refuse is refused here.
  decode_point(ByteView(frame).subspan(kHeaderSize));
  return frame;
}

ReadablePoint decode_point(ByteView payload) {
  ByteReader in(payload, "a POINT");
  ReadablePoint readable;
  readable.chunk_size = in.u32();
  bool good = std::has_single_bit(readable.chunk_size) && readable.chunk_size >= kMinChunkSize &&
              readable.chunk_size <= kMaxChunkSize;
  if (!good) in.fail("has an impossible chunk size");
  if (read_flag(in)) readable.id_key = in.array<32>();
  Point& point = readable.point;
  point.id = read_id<PointId>(in);
  point.machine_name = read_text(in, kMaxName);
  point.host = read_text(in, kMaxName);
  point.time_ms = in.u64();
  point.consistency = read_consistency(in);
  uint32_t count = read_count(in, kMaxDisks);
  if (count == 0) in.fail("names no disk");
  for (; count > 0; --count) {
    PointDisk disk = read_disk(in);
    bool is_twice = std::any_of(point.disks.begin(), point.disks.end(),
                                [&](const PointDisk& other) { return other.name == disk.name; });
    if (is_twice) in.fail("names a disk twice");
    point.disks.push_back(std::move(disk));
  }
  readable.has_definition = read_flag(in);
  if (readable.has_definition) point.definition = read_definition(in);
  for (const base::TaggedField& field : base::read_fields(in.view(in.remaining()), "a POINT")) {
    if (field.number != kBaseField) {
      base::pass_over(field, "a POINT");
      continue;
    }
    ByteReader value(field.value, "the base of a POINT");
    readable.base = read_id<PointId>(value);
    value.expect_end();
  }
  return readable;
}

Bytes encode(const ListChunks& list) {
  ByteWriter out = start(FrameType::list_chunks);
  out.u64(list.request);
  out.u32(list.disk);
  out.u64(list.first);
  out.u32(list.count);
  return finish(std::move(out));
}

ListChunks decode_list_chunks(ByteView payload) {
  ByteReader in(payload, "a LIST_CHUNKS");
  ListChunks list;
  list.request = in.u64();
  list.disk = in.u32();
  list.first = in.u64();
  list.count = read_count(in, kMaxListedChunks);
  if (list.count == 0) in.fail("asks for nothing");
  in.expect_end();
  return list;
}

Bytes encode(const Chunks& chunks) {
  ByteWriter out = start(FrameType::chunks);
  out.u64(chunks.request);
  out.u32(static_cast<uint32_t>(chunks.ids.size()));
  Bytes bits((chunks.ids.size() + 7) / 8);
  for (size_t i = 0; i < chunks.ids.size(); ++i) {
    if (!chunks.ids[i].is_zero()) bits[i / 8] = static_cast<uint8_t>(bits[i / 8] | 1u << (i % 8));
  }
  out.view(bits);
  for (const ChunkId& id : chunks.ids) {
    if (!id.is_zero()) out.view(id.view());
  }
  return finish(std::move(out));
}

Chunks decode_chunks(ByteView payload) {
  ByteReader in(payload, "a CHUNKS");
  Chunks chunks;
  chunks.request = in.u64();
  uint32_t count = read_count(in, kMaxListedChunks);
  ByteView bits = in.view((count + 7) / 8);
  if (count % 8 != 0 && bits.back() >> (count % 8) != 0) in.fail("has bits beyond its last chunk");
  chunks.ids.resize(count);
  for (uint32_t i = 0; i < count; ++i) {
    if ((bits[i / 8] >> (i % 8) & 1) == 0) continue;
    chunks.ids[i] = read_id<ChunkId>(in);
    if (chunks.ids[i].is_zero()) in.fail("has a chunk of zeros as one with content");
  }
  in.expect_end();
  return chunks;
}

Bytes encode(const GetChunks& get) {
  ByteWriter out = start(FrameType::get_chunks);
  out.u64(get.request);
  out.u32(get.disk);
  out.u32(static_cast<uint32_t>(get.chunks.size()));
  for (uint64_t chunk : get.chunks) out.u64(chunk);
  return finish(std::move(out));
}

GetChunks decode_get_chunks(ByteView payload) {
  ByteReader in(payload, "a GET_CHUNKS");
  GetChunks get;
  get.request = in.u64();
  get.disk = in.u32();
  uint32_t count = read_count(in, kMaxWantedChunks);
  if (count == 0) in.fail("asks for nothing");
  for (; count > 0; --count) {
    uint64_t chunk = in.u64();
    if (!get.chunks.empty() && chunk <= get.chunks.back()) in.fail("has chunks that do not ascend");
    get.chunks.push_back(chunk);
  }
  in.expect_end();
  return get;
}

Bytes encode(const ListChanges& list) {
  ByteWriter out = start(FrameType::list_changes);
  out.u64(list.request);
  out.u32(list.disk);
  out.u64(list.first);
  return finish(std::move(out));
}

ListChanges decode_list_changes(ByteView payload) {
  ByteReader in(payload, "a LIST_CHANGES");
  ListChanges list;
  list.request = in.u64();
  list.disk = in.u32();
  list.first = in.u64();
  in.expect_end();
  return list;
}

Bytes encode(const Changes& changes) {
  ByteWriter out = start(FrameType::changes);
  out.u64(changes.request);
  out.u64(changes.next);
  out.u32(static_cast<uint32_t>(changes.chunks.size()));
  for (uint64_t chunk : changes.chunks) out.u64(chunk);
  return finish(std::move(out));
}

Changes decode_changes(ByteView payload) {
  ByteReader in(payload, "a CHANGES");
  Changes changes;
  changes.request = in.u64();
  changes.next = in.u64();
  for (uint32_t count = read_count(in, kMaxListedChanges); count > 0; --count) {
    uint64_t chunk = in.u64();
    bool ascends = changes.chunks.empty() || chunk > changes.chunks.back();
    if (!ascends || chunk >= changes.next) in.fail("has chunks that do not ascend");
    changes.chunks.push_back(chunk);
  }
  in.expect_end();
  return changes;
}

}  // namespace images::wire
