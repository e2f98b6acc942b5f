// The messages that describe points: COMMIT, LIST_POINTS and POINTS.
#include "images/point_fields.h"
#include "images/wire/message_parts.h"

namespace images::wire {
namespace {

using base::ByteReader;
using base::Bytes;
using base::ByteView;
using base::ByteWriter;
using base::Error;
using base::ErrorCode;

constexpr uint32_t kDatedByHost = 1;
constexpr uint32_t kHostClockWrong = 2;

void write_figures(ByteWriter& out, const SyncFigures& figures) {
  out.u64(figures.bytes_read);
  out.u64(figures.bytes_sent);
  out.u64(figures.bytes_stored);
  out.u64(figures.duration_ms);
  out.u64(figures.frozen_ms);
}

SyncFigures read_figures(ByteReader& in) {
  SyncFigures figures;
  figures.bytes_read = in.u64();
  figures.bytes_sent = in.u64();
  figures.bytes_stored = in.u64();
  figures.duration_ms = in.u64();
  figures.frozen_ms = in.u64();
  return figures;
}

void write_point(ByteWriter& out, const PointSummary& point) {
  out.view(point.id.view());
  out.u64(point.time_ms);
  out.u64(point.dates.host_time_ms);
  out.u64(point.dates.order);
  out.u32((point.dates.dated_by_host ? kDatedByHost : 0) |
          (point.dates.host_clock_wrong ? kHostClockWrong : 0));
  out.u8(static_cast<uint8_t>(point.consistency));
  out.u64(point.size);
  Bytes fields = encode_lineage(point.lineage);
  out.u32(static_cast<uint32_t>(fields.size()));
  out.view(fields);
}

PointSummary read_point(ByteReader& in) {
  PointSummary point;
  point.id = read_id<PointId>(in);
  point.time_ms = in.u64();
  point.dates.host_time_ms = in.u64();
  point.dates.order = in.u64();
  uint32_t flags = in.u32();
  if ((flags & ~(kDatedByHost | kHostClockWrong)) != 0) in.fail("has unknown flags of a point");
  point.dates.dated_by_host = (flags & kDatedByHost) != 0;
  point.dates.host_clock_wrong = (flags & kHostClockWrong) != 0;
  point.consistency = read_consistency(in);
  point.size = in.u64();
  uint32_t size = in.u32();
  if (size > kMaxPointFields) in.fail("has a point with too long fields");
  point.lineage = decode_lineage(in.view(size), "a POINTS");
  return point;
}

}  // namespace

void write_definition(ByteWriter& out, const MachineDefinition& definition) {
  out.u8(static_cast<uint8_t>(definition.firmware));
  out.u32(definition.cpu_count);
  out.u64(definition.memory_size);
  out.u32(static_cast<uint32_t>(definition.network_cards.size()));
  for (const NetworkCard& card : definition.network_cards) {
    out.string(card.mac);
    out.string(card.model);
    out.string(card.network);
  }
  out.string(definition.libvirt_xml);
  out.u32(static_cast<uint32_t>(definition.state_files.size()));
  for (const auto& [name, content] : definition.state_files) {
    out.string(name);
    out.string(base::as_text(content));
  }
}

MachineDefinition read_definition(ByteReader& in) {
  MachineDefinition definition;
  uint8_t firmware = in.u8();
  if (firmware > static_cast<uint8_t>(Firmware::uefi)) in.fail("names an unknown firmware");
  definition.firmware = static_cast<Firmware>(firmware);
  definition.cpu_count = in.u32();
  definition.memory_size = in.u64();
  for (uint32_t left = read_count(in, kMaxNetworkCards); left > 0; --left) {
    NetworkCard& card = definition.network_cards.emplace_back();
    card.mac = read_text(in, kMaxName);
    card.model = read_text(in, kMaxName);
    card.network = read_text(in, kMaxName);
  }
  definition.libvirt_xml = read_text(in, kMaxLibvirtXml);
  for (uint32_t left = read_count(in, kMaxStateFiles); left > 0; --left) {
    std::string name = read_text(in, kMaxName);
    std::string content = in.string(kMaxCommitSize);
    definition.state_files.emplace_back(std::move(name), Bytes(content.begin(), content.end()));
  }
  return definition;
}

Bytes encode(const PointDetails& details, uint16_t version) {
  if (version == 1 && details.lineage.origin) {
    throw Error(ErrorCode::unsupported,
                "the other side speaks version 1 of the transfer protocol, which knows no copies "
                "of points: update it");
  }
  ByteWriter out = start(FrameType::commit);
  out.string(cut_text(details.host, kMaxName));
  out.u64(details.time_ms);
  out.u8(static_cast<uint8_t>(details.consistency));
  write_figures(out, details.figures);
  out.string(cut_text(details.note, kMaxNote));
  write_definition(out, details.definition);
  if (version > 1)
    out.view(encode_commit_fields(details.lineage, details.first_dates, details.marks));
  Bytes frame = finish(std::move(out));
  if (frame.size() - kHeaderSize > kMaxCommitSize) {
    throw Error(ErrorCode::invalid_argument,
                "the machine's definition and state are larger than 8 MiB");
  }
  // What the peer would refuse is refused here.
  decode_commit(ByteView(frame).subspan(kHeaderSize), version);
  return frame;
}

PointDetails decode_commit(ByteView payload, uint16_t version) {
  ByteReader in(payload, "a COMMIT");
  PointDetails details;
  details.host = read_text(in, kMaxName);
  details.time_ms = in.u64();
  details.consistency = read_consistency(in);
  details.figures = read_figures(in);
  details.note = read_text(in, kMaxNote);
  details.definition = read_definition(in);
  if (version == 1) {
    in.expect_end();
    return details;
  }
  CommitFields fields = decode_commit_fields(in.view(in.remaining()), "a COMMIT");
  details.lineage = fields.lineage;
  details.first_dates = fields.first_dates;
  details.marks = fields.marks;
  return details;
}

Bytes encode(const ListPoints& list) {
  ByteWriter out = start(FrameType::list_points);
  out.string(list.machine_name);
  out.u8(list.after ? 1 : 0);
  if (list.after) {
    out.u64(list.after->order);
    out.view(list.after->id.view());
  }
  return finish(std::move(out));
}

ListPoints decode_list_points(ByteView payload) {
  ByteReader in(payload, "a LIST_POINTS");
  ListPoints list;
  list.machine_name = read_text(in, kMaxName);
  if (read_flag(in)) {
    list.after.emplace();
    list.after->order = in.u64();
    list.after->id = read_id<PointId>(in);
  }
  expect_end(in, kVersion, "a LIST_POINTS");
  return list;
}

Bytes encode(const Points& points) {
  ByteWriter out = start(FrameType::points);
  out.u32(static_cast<uint32_t>(points.points.size()));
  for (const PointSummary& point : points.points) write_point(out, point);
  out.u8(points.more ? 1 : 0);
  return finish(std::move(out));
}

Points decode_points(ByteView payload) {
  ByteReader in(payload, "a POINTS");
  Points points;
  for (uint32_t left = read_count(in, kMaxListedPoints); left > 0; --left)
    points.points.push_back(read_point(in));
  points.more = read_flag(in);
  expect_end(in, kVersion, "a POINTS");
  return points;
}

}  // namespace images::wire
