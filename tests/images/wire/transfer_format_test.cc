#include "images/wire/transfer_format.h"

#include <catch2/catch.hpp>
#include <random>
#include <set>

#include "base/tagged_fields.h"
#include "images/wire/read_format.h"
#include "tests/fuzz/transfer_frames.h"

namespace images {
namespace {

using base::Bytes;
using base::ByteView;

std::string hex_of(const Bytes& frame) { return base::to_hex(frame); }

ByteView payload_of(const Bytes& frame) { return ByteView(frame).subspan(wire::kHeaderSize); }

template <typename AnyId>
AnyId id_of(uint8_t first) {
  AnyId id;
  for (size_t i = 0; i < id.bytes.size(); ++i) id.bytes[i] = static_cast<uint8_t>(first + i);
  return id;
}

std::string repeat(const std::string& text, size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += text;
  return out;
}

const std::string kId16 = "000102030405060708090a0b0c0d0e0f";
const std::string kId32 = kId16 + "101112131415161718191a1b1c1d1e1f";

PointDetails sample_details() {
  PointDetails details;
  details.host = "alpha";
  details.time_ms = 0x0102030405;
  details.consistency = Consistency::file_system;
  details.figures = {1, 2, 3, 4, 5};
  details.note = "ok";
  details.definition.firmware = Firmware::uefi;
  details.definition.cpu_count = 4;
  details.definition.memory_size = 1ull << 32;
  details.definition.network_cards = {{"m", "v", "n"}};
  details.definition.libvirt_xml = "<x/>";
  details.definition.state_files = {{"vars", {0xff, 0x00}}};
  return details;
}

struct Sample {
  std::string name;
  Bytes frame;
  std::string hex;
  uint16_t version = 1;
};

// Every frame with the bytes it must have: docs/protocol.md in executable form. Without fields, a
// message of version 2 has the same bytes as in version 1.
std::vector<Sample> samples_of_version_1() {
  SyncPlan plan{"db", {{"vda", 0x10000, id_of<PointId>(0)}, {"vdb", 512, std::nullopt}}};
  wire::LastPoint last{id_of<PointId>(0), 7, {{"vda", 0x200}}};
  Batch batch{5, 1, {{2, 1, id_of<ChunkId>(0)}, {3, 9, {}}}};
  std::vector<bool> wanted(10);
  wanted[0] = wanted[9] = true;
  Bytes content = {0xaa, 0xbb};
  return {
      {"HELLO", wire::encode(wire::Hello{1, 2, "a 1"}),
       "13000000"
       "01"
       "000000"
       "4d554c4554544f0a"
       "0100"
       "0200"
       "03000000"
       "612031"},
      {"WELCOME", wire::encode(wire::Welcome{1, "d"}),
       "0f000000"
       "02"
       "000000"
       "4d554c4554544f0a"
       "0100"
       "01000000"
       "64"},
      {"QUERY", wire::encode(wire::Query{"db"}),
       "06000000"
       "03"
       "000000"
       "02000000"
       "6462"},
      {"LAST_POINT, none", wire::encode(std::optional<wire::LastPoint>()),
       "01000000"
       "04"
       "000000"
       "00"},
      {"LAST_POINT", wire::encode(std::optional(last)),
       "2c000000"
       "04"
       "000000"
       "01" +
           kId16 +
           "0700000000000000"
           "01000000"
           "03000000"
           "766461"
           "0002000000000000"},
      {"OPEN", wire::encode(plan),
       "3a000000"
       "05"
       "000000"
       "02000000"
       "6462"
       "02000000"
       "03000000"
       "766461"
       "0000010000000000"
       "01" +
           kId16 +
           "03000000"
           "766462"
           "0002000000000000"
           "00"},
      {"READY, no key", wire::encode(wire::Ready{65536, std::nullopt}),
       "05000000"
       "06"
       "000000"
       "00000100"
       "00"},
      {"READY", wire::encode(wire::Ready{65536, id_of<ChunkId>(0).bytes}),
       "25000000"
       "06"
       "000000"
       "00000100"
       "01" +
           kId32},
      {"OFFER", wire::encode(batch),
       "70000000"
       "07"
       "000000"
       "0500000000000000"
       "01000000"
       "02000000"
       "0200000000000000"
       "0100000000000000" +
           kId32 +
           "0300000000000000"
           "0900000000000000" +
           repeat("00", 32)},
      {"NEED", wire::encode(wire::Need{5, wanted}),
       "0e000000"
       "08"
       "000000"
       "0500000000000000"
       "0a000000"
       "0102"},
      {"DATA", wire::encode(wire::Data{5, 9, Codec::zstd, content}),
       "12000000"
       "09"
       "000000"
       "0500000000000000"
       "09000000"
       "01"
       "000000"
       "aabb"},
      {"DONE", wire::encode_done(5),
       "08000000"
       "0a"
       "000000"
       "0500000000000000"},
      {"COMMIT", wire::encode(sample_details(), 1),
       "7a000000"
       "0b"
       "000000"
       "05000000"
       "616c706861"
       "0504030201000000"
       "01"
       "0100000000000000"
       "0200000000000000"
       "0300000000000000"
       "0400000000000000"
       "0500000000000000"
       "02000000"
       "6f6b"
       "02"
       "04000000"
       "0000000001000000"
       "01000000"
       "01000000"
       "6d"
       "01000000"
       "76"
       "01000000"
       "6e"
       "04000000"
       "3c782f3e"
       "01000000"
       "04000000"
       "76617273"
       "02000000"
       "ff00"},
      {"COMMITTED", wire::encode(wire::Committed{id_of<PointId>(0), 9}),
       "18000000"
       "0c"
       "000000" +
           kId16 + "0900000000000000"},
      {"PING", wire::encode_ping(),
       "00000000"
       "0d"
       "000000"},
      {"PONG", wire::encode_pong(),
       "00000000"
       "0e"
       "000000"},
      {"ERROR", wire::encode(base::Error(base::ErrorCode::busy, "no")),
       "0e000000"
       "0f"
       "000000"
       "04000000"
       "62757379"
       "02000000"
       "6e6f"},
  };
}

PointDetails copy_details() {
  PointDetails details = sample_details();
  details.lineage = {id_of<PointId>(0x20), PointOrigin{id_of<StoreId>(0x40), id_of<PointId>(0x60)}};
  details.first_dates = FirstDates{7, 8, true, false};
  return details;
}

std::vector<Sample> samples_of_version_2() {
  const std::string kId20 = "202122232425262728292a2b2c2d2e2f";
  const std::string kId40 = "404142434445464748494a4b4c4d4e4f";
  const std::string kId60 = "606162636465666768696a6b6c6d6e6f";
  std::string commit;
  for (const Sample& sample : samples_of_version_1()) {
    if (sample.name == "COMMIT") commit = sample.hex.substr(16);
  }
  PointSummary point{
      id_of<PointId>(0x60),  {}, "", 7, 512, Consistency::application, {9, 8, true, true},
      copy_details().lineage};
  const std::string lineage =
      "0100"
      "10000000" +
      kId20 +
      "0200"
      "20000000" +
      kId40 + kId60;
  return {
      {"COMMIT of a copy", wire::encode(copy_details(), 2),
       "d0000000"
       "0b"
       "000000" +
           commit + lineage +
           "0300"
           "14000000"
           "0700000000000000"
           "0800000000000000"
           "01000000",
       2},
      {"LIST_POINTS, all", wire::encode(wire::ListPoints{"db", std::nullopt}),
       "07000000"
       "10"
       "000000"
       "02000000"
       "6462"
       "00",
       2},
      {"LIST_POINTS, after a place",
       wire::encode(wire::ListPoints{"db", wire::TimelinePlace{8, id_of<PointId>(0x60)}}),
       "1f000000"
       "10"
       "000000"
       "02000000"
       "6462"
       "01"
       "0800000000000000" +
           kId60,
       2},
      {"POINTS", wire::encode(wire::Points{{point}, true}),
       "7a000000"
       "11"
       "000000"
       "01000000" +
           kId60 +
           "0700000000000000"
           "0900000000000000"
           "0800000000000000"
           "03000000"
           "02"
           "0002000000000000"
           "3c000000" +
           lineage + "01",
       2},
      {"POINTS, none", wire::encode(wire::Points{}),
       "05000000"
       "11"
       "000000"
       "00000000"
       "00",
       2},
  };
}

std::vector<Sample> samples() {
  std::vector<Sample> all = samples_of_version_1();
  for (Sample sample : samples_of_version_1()) {
    sample.version = 2;
    all.push_back(sample);
  }
  for (Sample& sample : samples_of_version_2()) all.push_back(std::move(sample));
  return all;
}

// The frame that the payload decodes to, encoded again.
Bytes reencode(const Bytes& frame, uint16_t version) {
  std::array<uint8_t, wire::kHeaderSize> header;
  std::copy_n(frame.begin(), header.size(), header.begin());
  ByteView payload = payload_of(frame);
  switch (wire::decode_header(header).type) {
    case wire::FrameType::hello: return wire::encode(wire::decode_hello(payload));
    case wire::FrameType::welcome: return wire::encode(wire::decode_welcome(payload));
    case wire::FrameType::query: return wire::encode(wire::decode_query(payload, version));
    case wire::FrameType::last_point:
      return wire::encode(wire::decode_last_point(payload, version));
    case wire::FrameType::open: return wire::encode(wire::decode_open(payload, version));
    case wire::FrameType::ready: return wire::encode(wire::decode_ready(payload, version));
    case wire::FrameType::offer: return wire::encode(wire::decode_offer(payload));
    case wire::FrameType::need: return wire::encode(wire::decode_need(payload));
    case wire::FrameType::data: return wire::encode(wire::decode_data(payload));
    case wire::FrameType::done: return wire::encode_done(wire::decode_done(payload));
    case wire::FrameType::commit:
      return wire::encode(wire::decode_commit(payload, version), version);
    case wire::FrameType::committed: return wire::encode(wire::decode_committed(payload, version));
    case wire::FrameType::ping: return wire::encode_ping();
    case wire::FrameType::pong: return wire::encode_pong();
    case wire::FrameType::error: return wire::encode(wire::decode_error(payload));
    case wire::FrameType::list_points: return wire::encode(wire::decode_list_points(payload));
    case wire::FrameType::points: return wire::encode(wire::decode_points(payload));
    case wire::FrameType::read_point: return wire::encode(wire::decode_read_point(payload));
    case wire::FrameType::point: return wire::encode(wire::decode_point(payload));
    case wire::FrameType::list_chunks: return wire::encode(wire::decode_list_chunks(payload));
    case wire::FrameType::chunks: return wire::encode(wire::decode_chunks(payload));
    case wire::FrameType::get_chunks: return wire::encode(wire::decode_get_chunks(payload));
    case wire::FrameType::list_changes: return wire::encode(wire::decode_list_changes(payload));
    case wire::FrameType::changes: return wire::encode(wire::decode_changes(payload));
  }
  return {};
}

TEST_CASE("every frame has its golden bytes, both ways", "[transfer]") {
  for (const Sample& sample : samples()) {
    CAPTURE(sample.name);
    CHECK(hex_of(sample.frame) == sample.hex);
    CHECK(hex_of(reencode(sample.frame, sample.version)) == sample.hex);
  }
}

constexpr size_t kParentFieldSize = 6 + 16;
constexpr size_t kCopyFieldsSize = kParentFieldSize + 6 + 32 + 6 + 20;

TEST_CASE("a frame cut short or made longer is corrupt", "[transfer]") {
  for (const Sample& sample : samples()) {
    CAPTURE(sample.name);
    bool open_ended = sample.name == "DATA";  // its content goes to the end
    bool ends_in_fields = sample.name == "COMMIT of a copy";
    for (size_t size = wire::kHeaderSize; size < sample.frame.size(); ++size) {
      if (open_ended && size > wire::kHeaderSize + 16) continue;
      // Without the last of them, it is a whole message.
      if (ends_in_fields && size == sample.frame.size() - kCopyFieldsSize) continue;
      if (ends_in_fields && size == sample.frame.size() - kCopyFieldsSize + kParentFieldSize)
        continue;
      CHECK_THROWS_AS(
          reencode(Bytes(sample.frame.begin(), sample.frame.begin() + static_cast<ptrdiff_t>(size)),
                   sample.version),
          base::Error);
    }
    Bytes longer = sample.frame;
    longer.push_back(0);
    bool empty = sample.frame.size() == wire::kHeaderSize;  // judged by the header's size
    if (!open_ended && !empty) CHECK_THROWS_AS(reencode(longer, sample.version), base::Error);
  }
}

TEST_CASE("headers are judged before room is made", "[transfer]") {
  auto header = [](uint32_t size, uint8_t type, uint8_t reserved) {
    std::array<uint8_t, 8> bytes{};
    base::store_u32(bytes.data(), size);
    bytes[4] = type;
    bytes[6] = reserved;
    return bytes;
  };
  CHECK(wire::decode_header(header(8, 10, 0)).size == 8);
  CHECK_THROWS_AS(wire::decode_header(header(9, 10, 0)), base::Error);
  CHECK_THROWS_AS(wire::decode_header(header(8, 10, 1)), base::Error);
  CHECK_THROWS_AS(wire::decode_header(header(0, 0, 0)), base::Error);
  CHECK_THROWS_AS(wire::decode_header(header(0, 25, 0)), base::Error);
  for (uint8_t type = 1; type <= 24; ++type) {
    uint32_t limit = wire::max_payload_size(static_cast<wire::FrameType>(type));
    CHECK(limit <= (type <= 17 ? wire::kMaxCommitSize : wire::kMaxPointMessage));
    CHECK_NOTHROW(wire::decode_header(header(limit, type, 0)));
    CHECK_THROWS_AS(wire::decode_header(header(limit + 1, type, 0)), base::Error);
    CHECK_THROWS_AS(wire::decode_header(header(0xffffffff, type, 0)), base::Error);
  }
}

TEST_CASE("the largest legal messages fit their limits", "[transfer]") {
  SyncPlan plan{std::string(255, 'm'), {}};
  wire::LastPoint last;
  for (int i = 0; i < 64; ++i) {
    plan.disks.push_back({std::string(255, 'd'), ~0ull, PointId::random()});
    last.disks.push_back({std::string(255, 'd'), ~0ull});
  }
  Batch batch{~0ull, 63, std::vector<PlacedChunk>(kMaxBatchPlaces)};
  for (const Bytes& frame :
       {wire::encode(plan), wire::encode(std::optional(last)), wire::encode(batch),
        wire::encode(wire::Need{1, std::vector<bool>(kMaxBatchPlaces, true)}),
        wire::encode(wire::Data{1, 1, Codec::raw, Bytes(wire::kMaxChunkSize)}),
        wire::encode(base::Error(base::ErrorCode::invalid_argument, std::string(9999, 'x')))}) {
    CHECK(reencode(frame, 1) == frame);
    CHECK(reencode(frame, 2) == frame);
  }
  wire::Points points{{}, true};
  for (uint32_t i = 0; i < wire::kMaxListedPoints; ++i)
    points.points.push_back(
        {id_of<PointId>(1), {}, "", ~0ull, ~0ull, Consistency::crash, {}, copy_details().lineage});
  CHECK(reencode(wire::encode(points), 2) == wire::encode(points));
  points.points.push_back({});
  CHECK_THROWS_AS(reencode(wire::encode(points), 2), base::Error);
  PointDetails details = sample_details();
  details.definition.state_files = {{"tpm", Bytes(wire::kMaxCommitSize)}};
  CHECK_THROWS_AS(wire::encode(details, 1), base::Error);
  CHECK_THROWS_AS(wire::encode(details, 2), base::Error);
}

// What a later version may add, and what version 1 was promised never to see.
TEST_CASE("fields that are not known are passed over, or refused if they are needed",
          "[transfer]") {
  auto code_of = [](const Bytes& frame, uint16_t version) {
    try {
      reencode(frame, version);
    } catch (const base::Error& error) {
      return error.code();
    }
    return base::ErrorCode::cancelled;
  };
  const std::set<wire::FrameType> with_fields = {
      wire::FrameType::query,  wire::FrameType::last_point, wire::FrameType::open,
      wire::FrameType::ready,  wire::FrameType::commit,     wire::FrameType::committed,
      wire::FrameType::points, wire::FrameType::list_points};
  for (const Sample& sample : samples()) {
    CAPTURE(sample.name, sample.version);
    if (sample.name == "DATA") continue;
    auto with = [&](uint16_t tag) {
      base::ByteWriter added;
      base::write_field(added, tag, base::as_bytes("new"));
      Bytes frame = sample.frame;
      frame.insert(frame.end(), added.bytes().begin(), added.bytes().end());
      base::store_u32(frame.data(), static_cast<uint32_t>(frame.size() - wire::kHeaderSize));
      return frame;
    };
    auto type = static_cast<wire::FrameType>(sample.frame[4]);
    bool takes_fields = sample.version > 1 && with_fields.contains(type);
    if (takes_fields) {
      CHECK(reencode(with(99), sample.version) == sample.frame);
      CHECK(code_of(with(99 | base::kFieldNeeded), sample.version) == base::ErrorCode::unsupported);
    } else {
      CHECK(code_of(with(99), sample.version) == base::ErrorCode::corrupt);
    }
  }
}

TEST_CASE("version 1 knows no copies, and an origin comes with its dates", "[transfer]") {
  CHECK_THROWS_WITH(wire::encode(copy_details(), 1), Catch::Matchers::Contains("version 1"));
  PointDetails parent = sample_details();
  parent.lineage.parent = id_of<PointId>(0);
  CHECK(wire::encode(parent, 1) == wire::encode(sample_details(), 1));
  for (bool with_dates : {true, false}) {
    PointDetails details = copy_details();
    if (with_dates) details.lineage.origin.reset();
    else details.first_dates.reset();
    CHECK_THROWS_AS(wire::encode(details, 2), base::Error);
  }
  PointDetails later = copy_details();
  later.first_dates->order = 1ull << 63;
  CHECK_THROWS_AS(wire::encode(later, 2), base::Error);
}

TEST_CASE("what is known about a point travels only with a copy", "[transfer]") {
  PointDetails copy = copy_details();
  copy.marks.hold = HoldMark{"audit", 5, std::nullopt};
  CHECK(wire::decode_commit(payload_of(wire::encode(copy, 2)), 2).marks == copy.marks);
  copy.lineage.origin.reset();
  copy.first_dates.reset();
  CHECK_THROWS_AS(wire::encode(copy, 2), base::Error);
}

TEST_CASE("sentences cannot drive a terminal, and are cut between characters", "[transfer]") {
  Bytes frame = wire::encode(base::Error(base::ErrorCode::io, "a\x1b[2Jb\n"));
  CHECK(wire::decode_error(payload_of(frame)).message() == "a [2Jb ");
  std::string umlauts;
  for (int i = 0; i < 2000; ++i) umlauts += "ä";
  frame = wire::encode(base::Error(base::ErrorCode::io, "x" + umlauts));
  CHECK(wire::decode_error(payload_of(frame)).message().size() == 2047);
}

// The fuzzer's target on mutations of good frames: always the same ones, and replayed by its seed.
TEST_CASE("mutated frames are decoded or refused", "[transfer]") {
  constexpr uint32_t kSeed = 20261122;
  constexpr int kMutations = 30000;
  std::mt19937 random(kSeed);
  std::vector<Sample> good = samples();
  tests::FrameStatistics statistics;
  for (int i = 0; i < kMutations; ++i) {
    Bytes input;
    for (uint32_t frames = random() % 3 + 1; frames > 0; --frames) {
      const Bytes& frame = good[random() % good.size()].frame;
      input.insert(input.end(), frame.begin(), frame.end());
    }
    for (uint32_t changes = random() % 5; changes > 0; --changes) {
      size_t place = random() % input.size();
      switch (random() % 4) {
        case 0: input[place] = static_cast<uint8_t>(random()); break;
        case 1: input[place] = static_cast<uint8_t>(input[place] ^ 1u << random() % 8); break;
        case 2:
          input.insert(input.begin() + static_cast<ptrdiff_t>(place),
                       static_cast<uint8_t>(random()));
          break;
        default:
          if (input.size() > 1) input.erase(input.begin() + static_cast<ptrdiff_t>(place));
          break;
      }
    }
    tests::decode_frames(input, statistics);
  }
  CHECK(statistics.decoded > kMutations / 4);
  CHECK(statistics.refused > kMutations / 4);
}

}  // namespace
}  // namespace images
