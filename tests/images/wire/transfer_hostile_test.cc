// The transfer protocol's two sides, each against one that lies, stands still or never ends.
#include <zstd.h>

#include <catch2/catch.hpp>
#include <thread>

#include "base/tagged_fields.h"
#include "images/sync/sync_engine.h"
#include "images/wire/frame_channel.h"
#include "images/wire/transfer_client.h"
#include "tests/images/wire/transfer_setup.h"

namespace images {
namespace {

using base::Bytes;
using base::ByteView;
using base::Error;
using base::ErrorCode;
using Catch::Matchers::Contains;

// A sender that says exactly what it is told to.
class RawSender {
 public:
  explicit RawSender(TransferHost& host, const TransferServerOptions& options = {},
                     uint16_t version = 1)
      : version_(version) {
    auto [near, far] = base::make_stream_pair();
    stream_ = std::move(near);
    serving_ = std::make_unique<Serving>(std::move(far), host, options);
    channel_ = std::make_unique<FrameChannel>(*stream_);
  }

  void say(const Bytes& frame) { channel_->write(frame); }
  void hello() {
    say(wire::encode(wire::Hello{1, version_, "raw"}));
    CHECK(wire::decode_welcome(expect(wire::FrameType::welcome).payload).version == version_);
  }
  void open(uint64_t size) {
    hello();
    say(wire::encode(plan_of(size)));
    expect(wire::FrameType::ready);
  }
  Frame expect(wire::FrameType type) {
    std::optional<Frame> frame = channel_->next();
    REQUIRE(frame.has_value());
    REQUIRE(frame->type == type);
    return *frame;
  }
  // The code of the ERROR that must come, before or after frames of other types.
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
  const uint16_t version_;
  std::unique_ptr<base::ByteStream> stream_;
  std::unique_ptr<Serving> serving_;
  std::unique_ptr<FrameChannel> channel_;
};

Bytes noise(uint32_t seed) {
  std::mt19937 random(seed);
  Bytes content(kChunk);
  for (uint8_t& byte : content) byte = static_cast<uint8_t>(random());
  return content;
}

Bytes zstd(const Bytes& plain) {
  Bytes out(ZSTD_compressBound(plain.size()));
  out.resize(ZSTD_compress(out.data(), out.size(), plain.data(), plain.size(), 3));
  return out;
}

TEST_CASE("hostile senders are told what they did, and nothing is stored", "[transfer]") {
  ModelSetup setup(100 * kChunk);
  const uint16_t version = GENERATE(uint16_t{1}, uint16_t{2});
  RawSender sender(setup.host, {}, version);
  Bytes content = noise(1);
  ChunkId id = setup.sink.hasher().id_of(content);
  Batch batch{0, 0, {{0, 1, id}}};
  auto offer = [&] {
    sender.open(100 * kChunk);
    sender.say(wire::encode(batch));
    sender.expect(wire::FrameType::need);
  };
  ErrorCode expected = ErrorCode::invalid_argument;
  SECTION("no greeting") { sender.say(wire::encode(plan_of(kChunk))); }
  SECTION("rubbish") {
    sender.say(Bytes(64, 0xff));
    expected = ErrorCode::corrupt;
  }
  SECTION("plain HTTP") {
    sender.say(Bytes{'G', 'E', 'T', ' ', '/', ' ', 'H', 'T', 'T', 'P', '\r', '\n'});
    expected = ErrorCode::corrupt;
  }
  SECTION("a future version") {
    sender.say(wire::encode(wire::Hello{7, 9, "new"}));
    expected = ErrorCode::unsupported;
  }
  SECTION("a second greeting") {
    sender.hello();
    sender.say(wire::encode(wire::Hello{1, 1, "raw"}));
  }
  SECTION("a receiver's frame") {
    sender.open(kChunk);
    sender.say(wire::encode_done(0));
  }
  SECTION("a machine's name with an escape sequence") {
    sender.hello();
    sender.say(wire::encode(wire::Query{"\x1b[2J"}));
  }
  SECTION("endless queries") {
    sender.hello();
    for (size_t i = 0; i <= kMaxQueries; ++i) sender.say(wire::encode(wire::Query{"db"}));
  }
  SECTION("a chunk that is not what its id says") {
    offer();
    sender.say(wire::encode(wire::Data{0, 0, Codec::raw, noise(2)}));
    expected = ErrorCode::corrupt;
  }
  SECTION("zeros under the hash of zeros") {
    batch.places[0].id = setup.sink.hasher().id_of(Bytes(kChunk));
    offer();
    sender.say(wire::encode(wire::Data{0, 0, Codec::zstd, zstd(Bytes(kChunk))}));
    expected = ErrorCode::corrupt;
  }
  SECTION("a decompression bomb") {
    offer();
    sender.say(wire::encode(wire::Data{0, 0, Codec::zstd, zstd(Bytes(64 << 20))}));
    expected = ErrorCode::corrupt;
  }
  SECTION("too few bytes after decompression") {
    offer();
    sender.say(wire::encode(wire::Data{0, 0, Codec::zstd, zstd(Bytes(kChunk - 1))}));
    expected = ErrorCode::corrupt;
  }
  SECTION("no zstd at all") {
    offer();
    sender.say(wire::encode(wire::Data{0, 0, Codec::zstd, ByteView(content).first(100)}));
    expected = ErrorCode::corrupt;
  }
  SECTION("raw of the wrong size") {
    offer();
    sender.say(wire::encode(wire::Data{0, 0, Codec::raw, ByteView(content).first(100)}));
    expected = ErrorCode::corrupt;
  }
  SECTION("data unasked") {
    sender.open(100 * kChunk);
    sender.say(wire::encode(wire::Data{0, 0, Codec::raw, content}));
  }
  SECTION("data twice") {
    batch.places.push_back({1, 1, setup.sink.hasher().id_of(noise(9))});
    offer();
    sender.say(wire::encode(wire::Data{0, 0, Codec::raw, content}));
    sender.say(wire::encode(wire::Data{0, 0, Codec::raw, content}));
  }
  SECTION("a sequence twice") {
    offer();
    sender.say(wire::encode(batch));
  }
  SECTION("out of the window") {
    batch.sequence = kMaxBatchesInFlight;
    sender.open(100 * kChunk);
    sender.say(wire::encode(batch));
  }
  SECTION("commit before the data") {
    offer();
    sender.say(wire::encode(PointDetails{}, 1));
  }
  SECTION("a truncated frame") {
    offer();
    Bytes frame = wire::encode(wire::Data{0, 0, Codec::raw, content});
    frame[0] = 5;  // the header claims less than there is: the rest is read as a frame
    frame[1] = 0;
    sender.say(frame);
    expected = ErrorCode::corrupt;
  }
  CHECK(sender.refusal() == expected);
  CHECK(setup.host.commits == 0);
  CHECK(setup.sink.encoded_chunk_count() == 0);
}

// The frame with more bytes at its end.
Bytes with_more(Bytes frame, const base::ByteWriter& more) {
  frame.insert(frame.end(), more.bytes().begin(), more.bytes().end());
  base::store_u32(frame.data(), static_cast<uint32_t>(frame.size() - wire::kHeaderSize));
  return frame;
}

TEST_CASE("hostile senders of version 2 are told what they did", "[transfer]") {
  ModelSetup setup(100 * kChunk);
  RawSender sender(setup.host, {}, 2);
  PointDetails copy;
  copy.lineage.origin = PointOrigin{StoreId::random(), PointId::random()};
  copy.first_dates = FirstDates{1, 2, false, false};
  base::ByteWriter more;
  ErrorCode expected = ErrorCode::corrupt;
  SECTION("a field that is needed and not known") {
    sender.hello();
    base::write_field(more, 77 | base::kFieldNeeded, {});
    sender.say(with_more(wire::encode(wire::Query{"db"}), more));
    expected = ErrorCode::unsupported;
  }
  SECTION("fields out of order") {
    sender.hello();
    base::write_field(more, 78, {});
    base::write_field(more, 77, {});
    sender.say(with_more(wire::encode(plan_of(kChunk)), more));
  }
  SECTION("a field that claims more than there is") {
    sender.hello();
    more.u16(77);
    more.u32(0xffffffff);
    sender.say(with_more(wire::encode(wire::Query{"db"}), more));
  }
  SECTION("more fields than a message may have") {
    sender.hello();
    base::write_field(more, 77, Bytes(wire::kMaxFieldsSize));
    sender.say(with_more(wire::encode(wire::Query{std::string(250, 'm')}), more));
  }
  SECTION("a copy that nobody allowed") {
    sender.open(kChunk);
    sender.say(wire::encode(copy, 2));
    expected = ErrorCode::unauthorized;
  }
  SECTION("an origin without dates") {
    setup.host.allows_copies = true;
    sender.open(kChunk);
    base::write_field(more, 2, Bytes(32, 1));
    sender.say(with_more(wire::encode(PointDetails{}, 2), more));
  }
  SECTION("an origin of another size") {
    setup.host.allows_copies = true;
    sender.open(kChunk);
    base::write_field(more, 2, Bytes(33, 1));
    sender.say(with_more(wire::encode(PointDetails{}, 2), more));
  }
  SECTION("an answer instead of a question") {
    sender.hello();
    sender.say(wire::encode(wire::Points{}));
    expected = ErrorCode::invalid_argument;
  }
  SECTION("endless lists") {
    sender.hello();
    for (size_t i = 0; i <= kMaxQueries; ++i)
      sender.say(wire::encode(wire::ListPoints{"db", std::nullopt}));
    expected = ErrorCode::invalid_argument;
  }
  SECTION("a list during a sync") {
    sender.open(kChunk);
    sender.say(wire::encode(wire::ListPoints{"db", std::nullopt}));
    expected = ErrorCode::invalid_argument;
  }
  CHECK(sender.refusal() == expected);
  CHECK(setup.host.commits == 0);
}

TEST_CASE("a session of version 1 has no messages of version 2", "[transfer]") {
  ModelSetup setup(100 * kChunk);
  RawSender sender(setup.host, {}, 1);
  ErrorCode expected = ErrorCode::invalid_argument;
  SECTION("a list") {
    sender.hello();
    sender.say(wire::encode(wire::ListPoints{"db", std::nullopt}));
  }
  SECTION("fields") {
    sender.hello();
    base::ByteWriter more;
    base::write_field(more, 77, {});
    sender.say(with_more(wire::encode(wire::Query{"db"}), more));
    expected = ErrorCode::corrupt;
  }
  CHECK(sender.refusal() == expected);
}

TEST_CASE("a receiver that lies about points is found out", "[transfer]") {
  auto [near, far] = base::make_stream_pair();
  std::thread receiver([stream = std::move(far)] {
    FrameChannel channel(*stream);
    channel.next();
    channel.write(wire::encode(wire::Welcome{2, "fake"}));
    channel.next();
    channel.write(wire::encode(wire::Points{{}, true}));  // more, but none
    stream->finish();
    channel.next();
  });
  Ending ending = ending_of([&, &stream = near] { list_points(std::move(stream), "db"); });
  CHECK(ending.code == ErrorCode::corrupt);
  receiver.join();
}

TEST_CASE("a session that is only kept alive is ended", "[transfer]") {
  using namespace std::chrono_literals;
  ModelSetup setup(100 * kChunk);
  TransferServerOptions options;
  options.opening_limit = 300ms;
  options.idle_limit = 300ms;
  RawSender sender(setup.host, options);
  SECTION("before OPEN") { sender.hello(); }
  SECTION("before OPEN, with queries") {
    sender.hello();
    sender.say(wire::encode(wire::Query{"db"}));
    sender.expect(wire::FrameType::last_point);
  }
  SECTION("after OPEN") { sender.open(100 * kChunk); }
  for (int i = 0; i < 10; ++i) {
    std::this_thread::sleep_for(50ms);
    try {
      sender.say(wire::encode_ping());
    } catch (const Error&) {
      break;  // it was sent away already
    }
  }
  CHECK(sender.refusal() == ErrorCode::busy);
  CHECK(setup.host.commits == 0);
}

TEST_CASE("a sync that makes progress may take longer than a pause", "[transfer]") {
  using namespace std::chrono_literals;
  ModelSetup setup(100 * kChunk);
  TransferServerOptions options;
  options.opening_limit = 150ms;
  options.idle_limit = 300ms;
  RawSender sender(setup.host, options);
  sender.open(100 * kChunk);
  for (uint64_t sequence = 0; sequence < 6; ++sequence) {
    std::this_thread::sleep_for(100ms);
    sender.say(wire::encode(Batch{sequence, 0, {{sequence, 1, {}}}}));
    sender.expect(wire::FrameType::need);
    sender.expect(wire::FrameType::done);
  }
  sender.say(wire::encode(PointDetails{}, 1));
  sender.expect(wire::FrameType::committed);
}

TEST_CASE("what comes after COMMIT is refused", "[transfer]") {
  ModelSetup setup(100 * kChunk);
  RawSender sender(setup.host);
  sender.open(100 * kChunk);
  sender.say(wire::encode(PointDetails{}, 1));
  sender.say(wire::encode(Batch{0, 0, {{0, 1, {}}}}));
  CHECK(sender.refusal() == ErrorCode::invalid_argument);
}

// A receiver that says exactly what it is told to.
TEST_CASE("hostile receivers end the sync with a sentence", "[transfer]") {
  auto [near, far] = base::make_stream_pair();
  std::thread receiver([stream = std::move(far), answer = GENERATE(0, 1, 2, 3, 4, 5)] {
    FrameChannel channel(*stream);
    channel.next();
    channel.write(wire::encode(wire::Welcome{1, "fake"}));
    channel.next();
    channel.write(wire::encode(wire::Ready{kChunk, std::nullopt}));
    channel.next();
    Bytes wrong_magic = wire::encode(wire::Welcome{1, "x"});
    std::vector<Bytes> answers = {
        wire::encode(wire::Need{0, std::vector<bool>(9, true)}),   // of the wrong size
        wire::encode(wire::Need{77, std::vector<bool>(1, true)}),  // of no offer
        wire::encode_done(0),                                      // before NEED
        wrong_magic,                                               // out of place
        Bytes(100, 0xee),                                          // no frame
        wire::encode(Error(ErrorCode::no_space, "full")),
    };
    channel.write(answers[static_cast<size_t>(answer)]);
    stream->finish();
    uint8_t rest[1000];
    try {
      while (stream->read_some(rest, std::chrono::seconds(5)) > 0) {
      }
    } catch (const Error&) {
      // The sender cut the connection.
    }
  });
  auto sink = open_remote_sink(std::move(near), plan_of(kChunk));
  Ending ending = ending_of([&] {
    Bytes content = noise(1);
    sink->send(Batch{0, 0, {{0, 1, ChunkId::random()}}}, [&](size_t) {
      return EncodedChunk{Codec::raw, content};
    });
    sink->commit({});
  });
  CHECK((ending.code == ErrorCode::corrupt || ending.code == ErrorCode::no_space));
  CHECK_FALSE(ending.message.empty());
  sink.reset();
  receiver.join();
}

TEST_CASE("a sync ends at once when the appliance ends its side and reads no more", "[transfer]") {
  auto [near, far] = base::make_stream_pair();
  std::promise<void> ended;
  // Asks for everything, then neither reads nor closes.
  std::thread peer([&, stream = std::move(far)] {
    FrameChannel channel(*stream);
    channel.next();  // HELLO
    channel.write(wire::encode(wire::Welcome{wire::kVersion, "a test"}));
    channel.next();  // OPEN
    channel.write(wire::encode(wire::Ready{kChunk, {}}));
    wire::Need need;
    std::optional<Frame> offer = channel.next();
    if (!offer) return;
    Batch batch = wire::decode_offer(offer->payload);
    need.sequence = batch.sequence;
    need.wanted.assign(batch.places.size(), true);
    channel.write(wire::encode(need));
    stream->finish();
    ended.get_future().wait();
  });
  SyncPlan plan;
  plan.machine_name = "web";
  plan.disks.push_back({"vda", 64 << 20, std::nullopt});
  std::mt19937 random(7);
  Bytes noise(kChunk);
  for (uint8_t& byte : noise) byte = static_cast<uint8_t>(random());
  auto sink = open_remote_sink(std::move(near), plan);
  Batch batch;
  for (uint64_t i = 0; i < kMaxBatchPlaces; ++i) {  // more than a socket takes
    noise[0] = static_cast<uint8_t>(i), noise[1] = static_cast<uint8_t>(i >> 8);
    batch.places.push_back({i, 1, sink->hasher().id_of(noise)});
  }
  auto begin = std::chrono::steady_clock::now();
  CHECK_THROWS_WITH(sink->send(batch,
                               [&](size_t) {
                                 return EncodedChunk{Codec::raw, noise};
                               }),
                    Contains("ended the connection"));
  // Long before the peer would be given up as silent.
  CHECK(std::chrono::steady_clock::now() - begin < kPeerTimeout / 2);
  sink.reset();
  ended.set_value();
  peer.join();
}

}  // namespace
}  // namespace images
