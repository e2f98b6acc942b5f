#include "images/format/index_format.h"

#include <algorithm>

#include "base/check.h"
#include "base/error.h"
#include "images/point_fields.h"

namespace images::index_format {
namespace {

using base::ByteReader;
using base::Bytes;
using base::ByteView;
using base::ByteWriter;

using Disk = format::PublicManifest::Disk;

constexpr uint8_t kDamaged = 1;
constexpr uint8_t kFresh = 2;
constexpr uint32_t kDatedByHost = 1;
constexpr uint32_t kHostClockWrong = 2;

uint32_t entry_checksum(ByteView key, ByteView body) {
  Bytes both(key.begin(), key.end());
  both.insert(both.end(), body.begin(), body.end());
  return static_cast<uint32_t>(base::checksum64(both));
}

template <typename AnyId>
AnyId read_id(ByteReader& reader) {
  return AnyId{reader.array<AnyId::kSize>()};
}

void write_disks(ByteWriter& writer, const std::vector<Disk>& disks) {
  writer.u32(static_cast<uint32_t>(disks.size()));
  for (const Disk& disk : disks) {
    writer.view(disk.key.view());
    writer.u64(disk.size);
    writer.view(disk.root.view());
  }
}

std::vector<Disk> read_disks(ByteReader& reader) {
  uint32_t count = reader.u32();
  if (count > format::kMaxDisks) reader.fail("lists too many disks");
  std::vector<Disk> disks(count);
  for (Disk& disk : disks) {
    disk.key = read_id<DiskKey>(reader);
    disk.size = reader.u64();
    disk.root = read_id<ChunkId>(reader);
  }
  return disks;
}

// Appended to the fields that rows had before points had two times. Rows without it: the only time
// is the host's.
void write_dates(ByteWriter& writer, const PointDates& dates) {
  writer.u64(dates.host_time_ms);
  writer.u64(dates.order);
  writer.u32((dates.dated_by_host ? kDatedByHost : 0) |
             (dates.host_clock_wrong ? kHostClockWrong : 0));
}

void read_dates(ByteReader& reader, format::PublicManifest& point) {
  if (reader.remaining() == 0) {
    point.time_ms = std::min(point.time_ms, kLatestTime_ms);
    point.dates = format::dates_of_version_1(point.time_ms);
    return;
  }
  point.dates.host_time_ms = reader.u64();
  point.dates.order = reader.u64();
  uint32_t flags = reader.u32();
  point.dates.dated_by_host = (flags & kDatedByHost) != 0;
  point.dates.host_clock_wrong = (flags & kHostClockWrong) != 0;
}

// Follows the dates; omitted if the lineage is empty, as in older rows.
void write_lineage(ByteWriter& writer, const PointLineage& lineage) {
  Bytes fields = encode_lineage(lineage);
  if (fields.empty()) return;
  writer.u32(static_cast<uint32_t>(fields.size()));
  writer.view(fields);
}

void read_lineage(ByteReader& reader, format::PublicManifest& point) {
  if (reader.remaining() == 0) return;
  uint32_t size = reader.u32();
  if (size > format::kMaxFieldsSize) reader.fail("has too long fields");
  point.lineage = decode_lineage(reader.view(size), "an index row of a point");
}

void write_point(ByteWriter& writer, const format::PublicManifest& point) {
  writer.view(point.id.view());
  writer.view(point.machine.view());
  writer.u64(point.time_ms);
  writer.u32(static_cast<uint32_t>(point.consistency));
  write_disks(writer, point.disks);
}

format::PublicManifest read_point(ByteReader& reader) {
  format::PublicManifest point;
  point.id = read_id<PointId>(reader);
  point.machine = read_id<MachineId>(reader);
  point.time_ms = reader.u64();
  uint32_t consistency = reader.u32();
  if (consistency > 2) reader.fail("has an unknown consistency");
  point.consistency = static_cast<Consistency>(consistency);
  point.disks = read_disks(reader);
  return point;
}

Bytes with_checksum(ByteWriter writer) {
  writer.u32(static_cast<uint32_t>(base::checksum64(writer.bytes())));
  return writer.take();
}

// A checksum of key and value follows the value.
ByteView without_checksum(ByteView key, ByteView bytes, const char* what) {
  bool good = bytes.size() >= 4;
  ByteView body = good ? bytes.first(bytes.size() - 4) : bytes;
  good = good && base::load_u32(bytes.data() + body.size()) == entry_checksum(key, body);
  if (!good) throw base::Error(base::ErrorCode::corrupt, std::string(what) + " is damaged");
  return body;
}
ByteView without_checksum(ByteView bytes, const char* what) {
  return without_checksum({}, bytes, what);
}

Bytes number_key(uint32_t number) {
  Bytes key(4);
  base::store_u32(key.data(), number);
  return key;
}

// So that keys sort by the number.
void put_big_endian(Bytes& key, uint64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8) key.push_back(static_cast<uint8_t>(number >> shift));
}

}  // namespace

Bytes encode_chunk(const ChunkId& id, const ChunkEntry& entry) {
  ByteWriter writer;
  writer.u32(entry.pack);
  writer.u32(entry.offset);
  writer.u32(entry.stored_size);
  writer.u32(entry.epoch);
  writer.u64(entry.references);
  writer.u8(static_cast<uint8_t>(entry.kind));
  writer.u8(static_cast<uint8_t>((entry.damaged ? kDamaged : 0) | (entry.fresh ? kFresh : 0)));
  writer.u16(0);
  writer.u32(entry_checksum(id.view(), writer.bytes()));
  CHECK(writer.size() == kChunkEntrySize);
  return writer.take();
}

ChunkEntry decode_chunk(const ChunkId& id, ByteView bytes) {
  ByteReader reader(bytes, "an index entry");
  if (bytes.size() != kChunkEntrySize) reader.fail("has a bad length");
  without_checksum(id.view(), bytes, "an index entry");
  ChunkEntry entry;
  entry.pack = reader.u32();
  entry.offset = reader.u32();
  entry.stored_size = reader.u32();
  entry.epoch = reader.u32();
  entry.references = reader.u64();
  uint8_t kind = reader.u8();
  if (kind != 1 && kind != 2) reader.fail("has an unknown kind");
  entry.kind = static_cast<format::RecordKind>(kind);
  uint8_t flags = reader.u8();
  entry.damaged = (flags & kDamaged) != 0;
  entry.fresh = (flags & kFresh) != 0;
  return entry;
}

Bytes encode_pack(uint32_t number, const PackEntry& entry) {
  ByteWriter writer;
  writer.view(entry.id.view());
  writer.u64(entry.size);
  writer.u64(entry.live_size);
  writer.u32(entry.sealed ? 1 : 0);
  writer.u32(entry_checksum(number_key(number), writer.bytes()));
  return writer.take();
}

PackEntry decode_pack(uint32_t number, ByteView bytes) {
  ByteReader reader(without_checksum(number_key(number), bytes, "an index row of a pack"),
                    "an index row of a pack");
  PackEntry entry;
  entry.id = read_id<PackId>(reader);
  entry.size = reader.u64();
  entry.live_size = reader.u64();
  entry.sealed = reader.u32() != 0;
  reader.expect_end();
  return entry;
}

Bytes encode_number(std::string_view name, uint64_t value) {
  ByteWriter writer;
  writer.u64(value);
  writer.u32(entry_checksum(base::as_bytes(name), writer.bytes()));
  return writer.take();
}

uint64_t decode_number(std::string_view name, ByteView bytes) {
  ByteReader reader(without_checksum(base::as_bytes(name), bytes, "a number of the index"),
                    "a number of the index");
  uint64_t value = reader.u64();
  reader.expect_end();
  return value;
}

Bytes encode_point(const format::PublicManifest& point) {
  ByteWriter writer;
  write_point(writer, point);
  write_dates(writer, point.dates);
  write_lineage(writer, point.lineage);
  return with_checksum(std::move(writer));
}

format::PublicManifest decode_point(ByteView bytes) {
  ByteReader reader(without_checksum(bytes, "an index row of a point"), "an index row of a point");
  format::PublicManifest point = read_point(reader);
  read_dates(reader, point);
  read_lineage(reader, point);
  reader.expect_end();
  return point;
}

Bytes departure_key(uint64_t number) {
  Bytes key;
  put_big_endian(key, number);
  return key;
}

uint64_t departure_number(ByteView key) {
  if (key.size() != 8)
    throw base::Error(base::ErrorCode::corrupt,
                      "the index has a departure's number of a bad length");
  uint64_t number = 0;
  for (uint8_t byte : key) number = number << 8 | byte;
  return number;
}

Bytes timeline_key(const format::PublicManifest& point) {
  Bytes key(point.machine.bytes.begin(), point.machine.bytes.end());
  put_big_endian(key, point.dates.order);
  key.insert(key.end(), point.id.bytes.begin(), point.id.bytes.end());
  return key;
}

Bytes encode_change(const TimelineChange& change) {
  ByteWriter writer;
  writer.u8(static_cast<uint8_t>(change.kind));
  write_point(writer, change.point);
  write_disks(writer, change.before);
  write_disks(writer, change.after);
  writer.u64(change.applied);
  write_dates(writer, change.point.dates);
  write_lineage(writer, change.point.lineage);
  return with_checksum(std::move(writer));
}

TimelineChange decode_change(ByteView bytes) {
  ByteReader reader(without_checksum(bytes, "the index's open change"), "the index's open change");
  TimelineChange change;
  uint8_t kind = reader.u8();
  if (kind != 1 && kind != 2) reader.fail("has an unknown kind");
  change.kind = static_cast<TimelineChange::Kind>(kind);
  change.point = read_point(reader);
  change.before = read_disks(reader);
  change.after = read_disks(reader);
  change.applied = reader.u64();
  read_dates(reader, change.point);
  read_lineage(reader, change.point);
  reader.expect_end();
  return change;
}

}  // namespace images::index_format
