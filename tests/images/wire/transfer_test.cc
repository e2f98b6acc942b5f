#include <catch2/catch.hpp>
#include <random>
#include <set>
#include <thread>

#include "images/codec.h"
#include "images/sync/sync_engine.h"
#include "images/wire/transfer_client.h"
#include "tests/images/wire/transfer_setup.h"

namespace images {
namespace {

using base::Bytes;
using base::ByteView;
using base::Error;
using base::ErrorCode;
using Catch::Matchers::Contains;

// A disk in memory, all of it data.
class MemorySource : public DiskSource {
 public:
  explicit MemorySource(Bytes content) : content_(std::move(content)) {}
  uint64_t size() const override { return content_.size(); }
  std::vector<Extent> extents(uint64_t offset, uint64_t length) override {
    return {{offset, length, ExtentKind::data}};
  }
  void read(uint64_t offset, base::MutableByteView out) override {
    std::copy_n(content_.begin() + static_cast<ptrdiff_t>(offset), out.size(), out.begin());
  }

 private:
  Bytes content_;
};

// Chunks of noise, of text and of zeros, many of them more than once.
Bytes sample_disk(size_t chunks, uint32_t seed) {
  std::mt19937 random(seed);
  Bytes content(chunks * kChunk + 512);
  for (size_t chunk = 0; chunk < chunks; ++chunk) {
    uint32_t kind = random() % 3;
    if (kind == 0) continue;
    std::mt19937 bytes(random() % 300);
    for (size_t i = 0; i < kChunk; ++i) {
      content[chunk * kChunk + i] =
          static_cast<uint8_t>(kind == 1 ? bytes() : 'a' + i % 7 + bytes() % 2);
    }
  }
  return content;
}

// What the chunks of a disk come to when each is sent once. Bytes.
uint64_t distinct_size(Bytes content) {
  content.resize((content.size() + kChunk - 1) / kChunk * kChunk);
  ChunkEncoder encoder(1);
  std::set<Bytes> seen;
  uint64_t size = 0;
  for (size_t offset = 0; offset < content.size(); offset += kChunk) {
    ByteView plain(content.data() + offset, kChunk);
    if (base::is_all_zero(plain) || !seen.insert(Bytes(plain.begin(), plain.end())).second)
      continue;
    size += encoder.encode(plain).bytes.size();
  }
  return size;
}

// Has every chunk there is, and keeps nothing.
class ForgetfulSink : public StoreSink {
 public:
  const ChunkHasher& hasher() const override { return hasher_; }
  std::vector<bool> lacking(std::span<const PlacedChunk> places) override {
    return std::vector<bool>(places.size());
  }
  void send(const Batch&, const std::function<EncodedChunk(size_t)>&) override {}
  SinkProgress progress() const override { return {}; }
  PointId commit(const PointDetails&) override { return PointId::random(); }

 private:
  ChunkHasher hasher_{kChunk};
};

TEST_CASE("a disk goes over the wire, each chunk once", "[transfer]") {
  Bytes content = sample_disk(3000, 7);
  ModelSetup setup(content.size());
  auto [near, far] = base::make_stream_pair();
  Serving serving(std::move(far), setup.host,
                  {.window_size = GENERATE(1ull, 300000ull, kSessionWindow)});
  MemorySource source(content);
  std::vector<DiskSource*> sources{&source};
  {
    auto sink = open_remote_sink(std::move(near), plan_of(content.size()));
    CHECK(sink->hasher().chunk_size() == kChunk);
    copy_disks(plan_of(content.size()), sources, *sink, {.thread_count = 3});
    PointDetails details;
    details.host = "alpha";
    details.note = "first";
    CHECK_FALSE(sink->commit(details).is_zero());
    CHECK(sink->progress().bytes_sent == distinct_size(content));
    CHECK(sink->progress().bytes_stored == setup.sink.progress().bytes_stored);
  }
  CHECK(serving.ending().message == "");
  CHECK(setup.sink.broken_rules() == std::vector<std::string>{});
  CHECK(setup.sink.content(0) == content);
  CHECK(setup.host.commits == 1);
  CHECK(setup.host.committed_details.host == "alpha");
  CHECK(setup.host.committed_details.figures.bytes_sent == distinct_size(content));
}

// Found by the bench: with nothing to send, a batch could be done before its NEED was on its way.
TEST_CASE("a receiver that has everything", "[transfer]") {
  Bytes content = sample_disk(3000, 7);
  MemorySource source(content);
  std::vector<DiskSource*> sources{&source};
  for (int round = 0; round < 30; ++round) {
    TestHost host;
    host.make_sink = [&](const SyncPlan&) { return std::make_unique<ForgetfulSink>(); };
    auto [near, far] = base::make_stream_pair();
    Serving serving(std::move(far), host);
    auto sink = open_remote_sink(std::move(near), plan_of(content.size()));
    copy_disks(plan_of(content.size()), sources, *sink, {.thread_count = 6});
    sink->commit({});
    CHECK(sink->progress().bytes_sent == 0);
    sink.reset();
    CHECK(serving.ending().message == "");
  }
}

TEST_CASE("queries: the last point, none, and one that is not theirs", "[transfer]") {
  ModelSetup setup(kChunk);
  auto ask = [&](const std::string& machine) {
    auto [near, far] = base::make_stream_pair();
    Serving serving(std::move(far), setup.host);
    auto answer = query_last_point(std::move(near), machine);
    CHECK(serving.ending().message == "");
    return answer;
  };
  CHECK_FALSE(ask("db").has_value());
  setup.host.last = wire::LastPoint{PointId::random(), 5, {{"vda", 512}}};
  CHECK(ask("db") == setup.host.last);
  setup.host.on_authorize = [](const std::string& name) {
    throw Error(ErrorCode::unauthorized, "'" + name + "' is another host's machine");
  };
  auto [near, far] = base::make_stream_pair();
  Serving serving(std::move(far), setup.host);
  Ending ending = ending_of([&, &stream = near] { query_last_point(std::move(stream), "db"); });
  CHECK(ending.code == ErrorCode::unauthorized);
  CHECK_THAT(ending.message, Contains("'db' is another host's machine"));
  CHECK(serving.ending().code == ErrorCode::unauthorized);
}

TEST_CASE("what the store throws reaches the sender with its code and sentence", "[transfer]") {
  Bytes content = sample_disk(600, 3);
  ModelSetup setup(content.size());
  MemorySource source(content);
  std::vector<DiskSource*> sources{&source};
  auto sync = [&] {
    auto [near, far] = base::make_stream_pair();
    Serving serving(std::move(far), setup.host);
    Ending ending = ending_of([&, &stream = near] {
      auto sink = open_remote_sink(std::move(stream), plan_of(content.size()));
      copy_disks(plan_of(content.size()), sources, *sink, {});
      sink->commit({});
    });
    serving.ending();
    return ending;
  };
  SECTION("in begin") {
    setup.host.make_sink = [](const SyncPlan&) -> std::unique_ptr<StoreSink> {
      throw Error(ErrorCode::busy, "four agents stream already");
    };
    Ending ending = sync();
    CHECK(ending.code == ErrorCode::busy);
    CHECK_THAT(ending.message, Contains("four agents"));
  }
  SECTION("in send") {
    setup.sink.on_send = [](const Batch& batch) {
      if (batch.sequence == 3) throw Error(ErrorCode::no_space, "the disk is full");
    };
    Ending ending = sync();
    CHECK(ending.code == ErrorCode::no_space);
    CHECK_THAT(ending.message, Contains("the disk is full"));
    CHECK(setup.host.commits == 0);
  }
  SECTION("revoked between begin and commit") {
    std::atomic<int> calls = 0;
    setup.host.on_authorize = [&](const std::string&) {
      if (++calls == 2) throw Error(ErrorCode::unauthorized, "the certificate was revoked");
    };
    CHECK(sync().code == ErrorCode::unauthorized);
    CHECK(setup.host.commits == 0);
  }
  SECTION("an exception that is no Error") {
    setup.sink.on_send = [](const Batch&) { throw std::runtime_error("oops"); };
    Ending ending = sync();
    CHECK(ending.code == ErrorCode::io);
    CHECK_THAT(ending.message, Contains("oops"));
  }
}

TEST_CASE("the server's owner can end a session at once", "[transfer]") {
  ModelSetup setup(100 * kChunk);
  auto [near, far] = base::make_stream_pair();
  Serving serving(std::move(far), setup.host);
  auto sink = open_remote_sink(std::move(near), plan_of(100 * kChunk));
  serving.stream().abort();
  CHECK(serving.ending().code == ErrorCode::cancelled);
  CHECK(ending_of([&] { sink->commit({}); }).code == ErrorCode::unavailable);
}

}  // namespace
}  // namespace images
