#include "images/wire/transfer_format.h"

#include <catch2/catch.hpp>
#include <random>

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
};

// Every frame with the bytes it must have: docs/protocol.md in executable form.
std::vector<Sample> samples() {
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
      {"COMMIT", wire::encode(sample_details()),
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

// The frame that the payload decodes to, encoded again.
Bytes reencode(const Bytes& frame) {
  std::array<uint8_t, wire::kHeaderSize> header;
  std::copy_n(frame.begin(), header.size(), header.begin());
  ByteView payload = payload_of(frame);
  switch (wire::decode_header(header).type) {
    case wire::FrameType::hello: return wire::encode(wire::decode_hello(payload));
    case wire::FrameType::welcome: return wire::encode(wire::decode_welcome(payload));
    case wire::FrameType::query: return wire::encode(wire::decode_query(payload));
    case wire::FrameType::last_point: return wire::encode(wire::decode_last_point(payload));
    case wire::FrameType::open: return wire::encode(wire::decode_open(payload));
    case wire::FrameType::ready: return wire::encode(wire::decode_ready(payload));
    case wire::FrameType::offer: return wire::encode(wire::decode_offer(payload));
    case wire::FrameType::need: return wire::encode(wire::decode_need(payload));
    case wire::FrameType::data: return wire::encode(wire::decode_data(payload));
    case wire::FrameType::done: return wire::encode_done(wire::decode_done(payload));
    case wire::FrameType::commit: return wire::encode(wire::decode_commit(payload));
    case wire::FrameType::committed: return wire::encode(wire::decode_committed(payload));
    case wire::FrameType::ping: return wire::encode_ping();
    case wire::FrameType::pong: return wire::encode_pong();
    case wire::FrameType::error: return wire::encode(wire::decode_error(payload));
  }
  return {};
}

TEST_CASE("every frame has its golden bytes, both ways", "[transfer]") {
  for (const Sample& sample : samples()) {
    CAPTURE(sample.name);
    CHECK(hex_of(sample.frame) == sample.hex);
    CHECK(hex_of(reencode(sample.frame)) == sample.hex);
  }
}

TEST_CASE("a frame cut short or made longer is corrupt", "[transfer]") {
  for (const Sample& sample : samples()) {
    CAPTURE(sample.name);
    bool open_ended = sample.name == "DATA";  // its content goes to the end
    for (size_t size = wire::kHeaderSize; size < sample.frame.size(); ++size) {
      if (open_ended && size > wire::kHeaderSize + 16) continue;
      CHECK_THROWS_AS(reencode(Bytes(sample.frame.begin(),
                                     sample.frame.begin() + static_cast<ptrdiff_t>(size))),
                      base::Error);
    }
    Bytes longer = sample.frame;
    longer.push_back(0);
    bool empty = sample.frame.size() == wire::kHeaderSize;  // judged by the header's size
    if (!open_ended && !empty) CHECK_THROWS_AS(reencode(longer), base::Error);
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
  CHECK_THROWS_AS(wire::decode_header(header(0, 16, 0)), base::Error);
  for (uint8_t type = 1; type <= 15; ++type) {
    uint32_t limit = wire::max_payload_size(static_cast<wire::FrameType>(type));
    CHECK(limit <= wire::kMaxCommitSize);
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
    CHECK(reencode(frame) == frame);
  }
  PointDetails details = sample_details();
  details.definition.state_files = {{"tpm", Bytes(wire::kMaxCommitSize)}};
  CHECK_THROWS_AS(wire::encode(details), base::Error);
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
