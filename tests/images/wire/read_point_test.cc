// Sessions that read one point, and each of their sides against one that lies.
#include "images/wire/remote_point.h"

#include <catch2/catch.hpp>
#include <random>
#include <thread>

#include "base/memory_file_system.h"
#include "base/scratch_directory.h"
#include "images/store/store_writer.h"
#include "images/wire/frame_channel.h"
#include "images/wire/transfer_client.h"
#include "tests/fuzz/transfer_frames.h"
#include "tests/images/store/store_model.h"
#include "tests/images/wire/reading_host.h"
#include "tests/images/wire/transfer_setup.h"

namespace images {
namespace {

using base::Bytes;
using base::ByteView;
using base::ErrorCode;

constexpr uint64_t kChunks = 3000;  // more than one list of ids

struct ReadSetup {
  base::ScratchDirectory scratch{"/tmp", "muletto-reading-test"};
  base::MemoryFileSystem files;
  std::unique_ptr<StoreWriter> writer;
  ReadingHost host;
  Bytes content;
  ModelPoint model{"db", 1'000, {{"vda", ModelContent(kChunks)}}};

  ReadSetup() {
    files.make_directory("/store");
    init_store(files, "/store", {.chunk_size = kChunk});
    writer = StoreWriter::open(files, "/store", {}, scratch.path() + "/index");
    std::mt19937 random(7);
    change_at_random(model.disks["vda"], 700, random);
    host.point = sync_model_point(*writer, model, {}, nullptr);
    host.store = &writer->reader();
    auto disk = host.store->open_disk(host.point, "vda");
    content.resize(disk->size());
    disk->read(0, content);
  }
  uint64_t first_data() {
    auto ids = host.store->open_disk(host.point, "vda")->chunk_ids(0, kChunks);
    return static_cast<uint64_t>(
        std::find_if(ids.begin(), ids.end(), [](const ChunkId& id) { return !id.is_zero(); }) -
        ids.begin());
  }
  uint64_t first_zero() {
    auto ids = host.store->open_disk(host.point, "vda")->chunk_ids(0, kChunks);
    return static_cast<uint64_t>(std::find(ids.begin(), ids.end(), ChunkId{}) - ids.begin());
  }
};

// A reader that says exactly what it is told to.
class RawReader {
 public:
  explicit RawReader(TransferHost& host, uint16_t version = 3, TransferServerOptions options = {}) {
    auto [near, far] = base::make_stream_pair();
    stream_ = std::move(near);
    serving_ = std::make_unique<Serving>(std::move(far), host, options);
    channel_ = std::make_unique<FrameChannel>(*stream_);
    say(wire::encode(wire::Hello{1, version, "raw"}));
    expect(wire::FrameType::welcome);
  }
  void open(const wire::Ticket& ticket) {
    say(wire::encode(wire::ReadPoint{ticket}));
    expect(wire::FrameType::point);
  }
  void say(const Bytes& frame) { channel_->write(frame); }
  void expect(wire::FrameType type) {
    std::optional<Frame> frame = channel_->next();
    REQUIRE(frame.has_value());
    REQUIRE(frame->type == type);
  }
  ErrorCode refusal() {
    for (;;) {
      std::optional<Frame> frame = channel_->next();
      REQUIRE(frame.has_value());
      if (frame->type != wire::FrameType::error) continue;
      ErrorCode code = wire::decode_error(frame->payload).code();
      stream_->finish();
      stream_.reset();
      CHECK(serving_->ending().code == code);
      return code;
    }
  }

 private:
  std::unique_ptr<base::ByteStream> stream_;
  std::unique_ptr<Serving> serving_;
  std::unique_ptr<FrameChannel> channel_;
};

}  // namespace

TEST_CASE("a point is read over the wire, by several threads at once", "[transfer]") {
  ReadSetup setup;
  setup.host.tells_definition = GENERATE(false, true);
  auto [near, far] = base::make_stream_pair();
  Serving serving(std::move(far), setup.host);
  {
    auto remote = RemotePoint::open(std::move(near), setup.host.ticket);
    CHECK(remote->point().id == setup.host.point);
    CHECK(remote->point().machine_name == "db");
    CHECK(remote->has_definition() == setup.host.tells_definition);
    CHECK(remote->hasher().chunk_size() == kChunk);
    REQUIRE(remote->point().disks.size() == 1);
    CHECK(remote->point().disks[0].root ==
          setup.host.store->read_point(setup.host.point).disks[0].root);
    CHECK_THROWS(remote->open_disk("vdb"));
    auto disk = remote->open_disk("vda");
    std::atomic<int> wrong = 0;
    {
      std::vector<std::jthread> threads;
      for (uint32_t seed = 0; seed < 24; ++seed) {  // more than may ask at a time
        threads.emplace_back([&, seed] {
          std::mt19937 random(seed);
          for (int i = 0; i < 12; ++i) {
            uint64_t offset = random() % (setup.content.size() - 700'000);
            Bytes bytes(random() % 700'000 + 1);
            disk->read(offset, bytes);
            if (!std::equal(bytes.begin(), bytes.end(),
                            setup.content.begin() + static_cast<ptrdiff_t>(offset)))
              ++wrong;
          }
        });
      }
    }
    CHECK(wrong == 0);
    CHECK(remote->received_size() > 0);
  }
  CHECK(serving.ending().message.empty());
}

TEST_CASE("what two points differ in is told without their ids", "[transfer]") {
  ReadSetup setup;
  setup.host.base = setup.host.point;
  std::mt19937 random(GENERATE(3u, 4u));
  size_t count = GENERATE(0u, 5u, 2900u);
  ModelPoint next{"db", 2'000, {{"vda", setup.model.disks["vda"]}}};
  change_at_random(next.disks["vda"], count, random);
  setup.host.point = sync_model_point(*setup.writer, next, {}, nullptr);
  auto before = setup.host.store->open_disk(*setup.host.base, "vda")->chunk_ids(0, kChunks);
  auto after = setup.host.store->open_disk(setup.host.point, "vda")->chunk_ids(0, kChunks);
  std::vector<uint64_t> expected;
  for (uint64_t i = 0; i < kChunks; ++i)
    if (before[i] != after[i]) expected.push_back(i);
  auto [near, far] = base::make_stream_pair();
  Serving serving(std::move(far), setup.host);
  {
    auto remote = RemotePoint::open(std::move(near), setup.host.ticket);
    CHECK(remote->base() == setup.host.base);
    CHECK(remote->changes("vda") == expected);
    CHECK_THROWS(remote->changes("vdb"));
  }
  CHECK(serving.ending().message.empty());
  // In pieces, from any place.
  auto disk = setup.host.store->open_disk(setup.host.point, "vda");
  PointDisk old = setup.host.store->read_point(*setup.host.base).disks[0];
  std::vector<uint64_t> pieces;
  for (uint64_t from = 0; from < kChunks;) {
    DiskChanges part = disk->changes_since(old, from, 1 + random() % 40);
    CHECK(part.next > from);
    pieces.insert(pieces.end(), part.chunks.begin(), part.chunks.end());
    from = part.next;
  }
  CHECK(pieces == expected);
}

TEST_CASE("without the order's ticket nothing is read", "[transfer]") {
  ReadSetup setup;
  wire::Ticket wrong = setup.host.ticket;
  wrong.bytes[31] ^= 1;
  auto [near, far] = base::make_stream_pair();
  Serving serving(std::move(far), setup.host);
  Ending ending = ending_of([&, &stream = near] { RemotePoint::open(std::move(stream), wrong); });
  CHECK(ending.code == ErrorCode::unauthorized);
  CHECK(setup.host.opened == 0);
  // A host that gives out no tickets at all.
  ModelSetup none(kChunk);
  auto [near2, far2] = base::make_stream_pair();
  Serving serving2(std::move(far2), none.host);
  CHECK(ending_of([&, &stream = near2] { RemotePoint::open(std::move(stream), wrong); }).code ==
        ErrorCode::unauthorized);
  // An older appliance.
  auto [near3, far3] = base::make_stream_pair();
  Serving serving3(std::move(far3), setup.host, {.versions = {1, 2}});
  CHECK(ending_of([&, &stream = near3] {
          RemotePoint::open(std::move(stream), setup.host.ticket);
        }).code == ErrorCode::unsupported);
}

TEST_CASE("hostile readers are told what they did", "[transfer]") {
  ReadSetup setup;
  const uint64_t data = setup.first_data();
  ErrorCode expected = ErrorCode::invalid_argument;
  SECTION("version 2 has no READ_POINT") {
    RawReader reader(setup.host, 2);
    reader.say(wire::encode(wire::ReadPoint{setup.host.ticket}));
    CHECK(reader.refusal() == expected);
    CHECK(setup.host.opened == 0);
    return;
  }
  SECTION("chunks before a ticket") {
    RawReader reader(setup.host);
    reader.say(wire::encode(wire::GetChunks{0, 0, {data}}));
    CHECK(reader.refusal() == expected);
    return;
  }
  RawReader reader(setup.host);
  reader.open(setup.host.ticket);
  SECTION("another disk") { reader.say(wire::encode(wire::GetChunks{0, 1, {data}})); }
  SECTION("ids beyond the end") {
    reader.say(wire::encode(wire::ListChunks{0, 0, kChunks - 1, 2}));
  }
  SECTION("ids beyond the end, with an overflow") {
    reader.say(wire::encode(wire::ListChunks{0, 0, ~0ull, 2}));
  }
  SECTION("chunks beyond the end") { reader.say(wire::encode(wire::GetChunks{0, 0, {kChunks}})); }
  SECTION("a chunk of zeros") {
    reader.say(wire::encode(wire::GetChunks{0, 0, {setup.first_zero()}}));
  }
  SECTION("changes without a base") { reader.say(wire::encode(wire::ListChanges{0, 0, 0})); }
  SECTION("numbers out of sequence") { reader.say(wire::encode(wire::GetChunks{1, 0, {data}})); }
  SECTION("a second ticket") { reader.say(wire::encode(wire::ReadPoint{setup.host.ticket})); }
  SECTION("a sync inside a restore") { reader.say(wire::encode(plan_of(kChunk))); }
  SECTION("nothing at all") {
    reader.say(wire::encode(wire::ListChunks{0, 0, 0, 0}));
    expected = ErrorCode::corrupt;
  }
  SECTION("chunks that do not ascend") {
    reader.say(wire::encode(wire::GetChunks{0, 0, {data, data}}));
    expected = ErrorCode::corrupt;
  }
  CHECK(reader.refusal() == expected);
}

TEST_CASE("more requests than the window are refused, and a reader that only pings is ended",
          "[transfer]") {
  ReadSetup setup;
  SECTION("requests without end") {
    RawReader reader(setup.host);
    reader.open(setup.host.ticket);
    uint64_t data = setup.first_data();
    std::vector<uint64_t> many;
    for (uint64_t i = 0; i < wire::kMaxWantedChunks; ++i) many.push_back(i);
    // Either the window ends it, or, if this machine answers faster than it is asked, nothing does.
    Ending ending = ending_of([&] {
      for (uint64_t request = 0; request < 5000; ++request)
        reader.say(wire::encode(wire::ListChunks{request, 0, data % 8, 512}));
    });
    CHECK((reader.refusal() == ErrorCode::invalid_argument || !ending.message.empty()));
  }
  SECTION("silence") {
    RawReader reader(setup.host, 3, {.reading_limit = std::chrono::milliseconds(1)});
    reader.open(setup.host.ticket);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    reader.say(wire::encode_ping());
    CHECK(reader.refusal() == ErrorCode::busy);
  }
}

TEST_CASE("an appliance that lies while it is read is found out", "[transfer]") {
  ReadSetup setup;
  auto [near, far] = base::make_stream_pair();
  const uint64_t data = setup.first_data();
  auto real = setup.host.store->open_disk(setup.host.point, "vda");
  enum class Lie { none, content, too_large, twice, other_place, other_request, ids, bomb };
  Lie lie = GENERATE(Lie::none, Lie::content, Lie::too_large, Lie::twice, Lie::other_place,
                     Lie::other_request, Lie::ids, Lie::bomb);
  CAPTURE(static_cast<int>(lie));
  std::jthread liar([&, stream = std::move(far)]() mutable {
    FrameChannel channel(*stream);
    channel.next();
    channel.write(wire::encode(wire::Welcome{wire::kVersion, "a test"}));
    channel.next();
    wire::ReadablePoint point;
    point.chunk_size = kChunk;
    point.point = setup.host.store->read_point(setup.host.point);
    channel.write(wire::encode(point));
    try {
      wire::ListChunks list = wire::decode_list_chunks(channel.next()->payload);
      auto ids = real->chunk_ids(list.first, list.count);
      if (lie == Lie::ids) ids.pop_back();
      channel.write(wire::encode(wire::Chunks{list.request, ids}));
      auto frame = channel.next();
      if (!frame) return;
      wire::GetChunks get = wire::decode_get_chunks(frame->payload);
      Bytes buffer, content(kChunk, 0x77);
      EncodedChunk chunk = real->encoded_chunk(get.chunks.front(), buffer);
      if (lie == Lie::too_large || lie == Lie::bomb) content.resize(2 * kChunk);
      wire::Data answer{get.request, 0, chunk.codec, chunk.bytes};
      if (lie == Lie::content || lie == Lie::too_large)
        answer = {get.request, 0, Codec::raw, content};
      if (lie == Lie::bomb) answer = {get.request, 0, Codec::zstd, ByteView(content).first(kChunk)};
      if (lie == Lie::other_place) answer.place = 1;
      if (lie == Lie::other_request) answer.sequence += 1;
      channel.write(wire::encode(answer));
      if (lie == Lie::twice) channel.write(wire::encode(answer));
      channel.next();
    } catch (const std::exception&) {
    }
  });
  auto disk = RemotePoint::open(std::move(near), {})->open_disk("vda");
  Bytes bytes(kChunk);
  Ending ending = ending_of([&] { disk->read(data * kChunk, bytes); });
  bool right = std::equal(bytes.begin(), bytes.end(),
                          setup.content.begin() + static_cast<ptrdiff_t>(data * kChunk));
  if (lie == Lie::none || (lie == Lie::twice && ending.message.empty())) CHECK(right);
  else CHECK(ending.code == ErrorCode::corrupt);
  disk.reset();
}

TEST_CASE("a cut connection fails every read at once, and a new session reads on", "[transfer]") {
  ReadSetup setup;
  CutStream::Counters counters;
  counters.limit = 400'000;
  auto [near, far] = base::make_stream_pair();
  Serving serving(std::move(far), setup.host);
  auto cut = std::make_unique<CutStream>(std::move(near), counters);
  {
    auto disk = RemotePoint::open(std::move(cut), setup.host.ticket)->open_disk("vda");
    Bytes all(setup.content.size());
    CHECK(ending_of([&] { disk->read(0, all); }).code == ErrorCode::unavailable);
    CHECK(ending_of([&] { disk->read(0, all); }).code == ErrorCode::unavailable);
  }
  serving.ending();
  auto [near2, far2] = base::make_stream_pair();
  Serving again(std::move(far2), setup.host);
  auto disk = RemotePoint::open(std::move(near2), setup.host.ticket)->open_disk("vda");
  Bytes all(setup.content.size());
  disk->read(0, all);
  CHECK(all == setup.content);
  disk.reset();
  CHECK(again.ending().message.empty());
}

TEST_CASE("messages of sessions that read have their golden bytes", "[transfer]") {
  auto hex = [](const Bytes& frame) { return base::to_hex(frame); };
  ChunkId id;
  id.bytes[0] = 0xaa;
  CHECK(hex(wire::encode(wire::ListChunks{7, 1, 2, 3})) ==
        "18000000"
        "14000000"
        "0700000000000000"
        "01000000"
        "0200000000000000"
        "03000000");
  CHECK(hex(wire::encode(wire::GetChunks{7, 1, {2, 9}})) ==
        "20000000"
        "16000000"
        "0700000000000000"
        "01000000"
        "02000000"
        "0200000000000000"
        "0900000000000000");
  CHECK(hex(wire::encode(wire::Chunks{7, {ChunkId{}, id, ChunkId{}}})) ==
        "2d000000"
        "15000000"
        "0700000000000000"
        "03000000"
        "02" +
            id.hex());
  wire::Ticket ticket;
  ticket.bytes[0] = 0xbb;
  CHECK(hex(wire::encode(wire::ReadPoint{ticket})) ==
        "20000000"
        "12000000"
        "bb" +
            std::string(62, '0'));
  wire::ReadablePoint point;
  point.chunk_size = 4096;
  point.point.machine_name = "db";
  point.point.host = "h";
  point.point.time_ms = 5;
  point.point.disks = {{"vda", 1024, id, {}}};
  Bytes frame = wire::encode(point);
  CHECK(hex(frame) ==
        "5d000000"
        "13000000"
        "00100000"
        "00" +
            std::string(32, '0') +
            "02000000"
            "6462"
            "01000000"
            "68"
            "0500000000000000"
            "00"
            "01000000"
            "03000000"
            "766461"
            "0004000000000000" +
            id.hex() + "00");
  // Cut short or longer: corrupt.
  ByteView payload = ByteView(frame).subspan(wire::kHeaderSize);
  for (size_t size = 0; size < payload.size(); ++size)
    CHECK_THROWS(wire::decode_point(payload.first(size)));
  // A disk that claims an absurd size, and one that is there twice.
  point.point.disks[0].size = 1ull << 60;
  CHECK_THROWS(wire::encode(point));
  point.point.disks = {{"vda", 512, id, {}}, {"vda", 512, id, {}}};
  CHECK_THROWS(wire::encode(point));
}

TEST_CASE("mutated messages of sessions that read are decoded or refused", "[transfer]") {
  wire::ReadablePoint point;
  point.chunk_size = 4096;
  point.point.machine_name = "db";
  point.point.disks = {{"vda", 1024, ChunkId::random(), {}}, {"vdb", 512, {}, {}}};
  point.has_definition = true;
  point.point.definition.libvirt_xml = "<domain/>";
  point.point.definition.state_files = {{"nvram", Bytes(40, 1)}};
  std::vector<Bytes> frames{
      wire::encode(point), wire::encode(wire::ReadPoint{}),
      wire::encode(wire::ListChunks{1, 0, 5, 9}),
      wire::encode(wire::Chunks{1, {ChunkId::random(), ChunkId{}, ChunkId::random()}}),
      wire::encode(wire::GetChunks{1, 0, {1, 2, 3}})};
  std::mt19937 random(3);
  tests::FrameStatistics statistics;
  for (const Bytes& frame : frames) {
    for (int round = 0; round < 3000; ++round) {
      Bytes mutated = frame;
      for (uint32_t i = random() % 4; i-- > 0;)
        mutated[random() % mutated.size()] = static_cast<uint8_t>(random());
      if (random() % 4 == 0) mutated.resize(random() % (mutated.size() + 1));
      tests::decode_frames(mutated, statistics);
    }
  }
  CHECK(statistics.decoded > 1000);
  CHECK(statistics.refused > 1000);
}

}  // namespace images
