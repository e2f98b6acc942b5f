// Connections that break: what was committed is whole, what was not is invisible, and what arrived
// is not sent again.
#include <catch2/catch.hpp>
#include <random>

#include "base/scratch_directory.h"
#include "images/disk_reader.h"
#include "images/store/store_writer.h"
#include "images/sync/sync_engine.h"
#include "images/wire/transfer_client.h"
#include "tests/images/wire/transfer_pair.h"

namespace images {
namespace {

using base::Bytes;

constexpr uint32_t kChunk = 4096;
constexpr size_t kDiskSize = 400 * kChunk;

class MemorySource : public DiskSource {
 public:
  explicit MemorySource(const Bytes& content) : content_(content) {}
  uint64_t size() const override { return content_.size(); }
  std::vector<Extent> extents(uint64_t offset, uint64_t length) override {
    return {{offset, length, ExtentKind::data}};
  }
  void read(uint64_t offset, base::MutableByteView out) override {
    std::copy_n(content_.begin() + static_cast<ptrdiff_t>(offset), out.size(), out.begin());
  }

 private:
  const Bytes& content_;
};

Bytes noise(std::mt19937& random, size_t size) {
  Bytes content(size);
  for (uint8_t& byte : content) byte = static_cast<uint8_t>(random());
  return content;
}

// One store with a host in front of it.
struct StoreSetup {
  base::ScratchDirectory scratch{"/tmp", "muletto-transfer-test"};
  std::string path = scratch.path() + "/store";
  std::unique_ptr<StoreWriter> store;
  TestHost host;

  StoreSetup() {
    init_store(base::real_file_system(), path, {.chunk_size = kChunk});
    store = StoreWriter::open(base::real_file_system(), path);
    host.make_sink = [this](const SyncPlan& plan) { return store->begin(plan); };
  }

  // One attempt over a connection that breaks after `limit` bytes. How it ended, and the bytes the
  // sender wrote.
  std::pair<Ending, uint64_t> sync(const Bytes& content, std::optional<PointId> base,
                                   uint64_t limit = ~0ull) {
    auto [near, far] = base::make_stream_pair();
    CutStream::Counters counters;
    counters.limit = limit;
    Serving serving(std::move(far), host);
    SyncPlan plan{"db", {{"vda", content.size(), base}}};
    MemorySource source(content);
    Ending ending = ending_of([&, &stream = near] {
      auto sink = open_remote_sink(std::make_unique<CutStream>(std::move(stream), counters), plan);
      copy_disks(plan, {&source}, *sink, {.thread_count = 2});
      PointDetails details;
      details.time_ms = 1000 + static_cast<uint64_t>(store->reader().points().size());
      sink->commit(details);
    });
    serving.ending();
    return {ending, counters.written};
  }

  Bytes content_of(const PointId& id) {
    Bytes content(kDiskSize);
    store->reader().open_disk(id, "vda")->read(0, content);
    return content;
  }
};

TEST_CASE("connections cut anywhere", "[transfer]") {
  constexpr uint32_t kSeed = 4;
  constexpr int kCuts = 150;
  std::mt19937 random(kSeed);
  StoreSetup setup;
  std::vector<Bytes> committed;
  std::optional<PointId> base;
  Bytes content = noise(random, kDiskSize);
  int broken = 0;
  for (int round = 0; round < kCuts; ++round) {
    CAPTURE(kSeed, round);
    for (int i = 0; i < 8; ++i) {
      size_t place = random() % (kDiskSize / kChunk) * kChunk;
      Bytes fresh = noise(random, kChunk);
      std::copy(fresh.begin(), fresh.end(), content.begin() + static_cast<ptrdiff_t>(place));
    }
    uint64_t limit = random() % (round % 3 == 0 ? 3000 : 200000);
    auto [ending, written] = setup.sync(content, base, limit);
    std::vector<PointSummary> points = setup.store->reader().points();
    // The last frames may be lost after the point was committed: then it is there although the
    // sender was told otherwise. Nothing else may be.
    bool is_new = points.size() == committed.size() + 1;
    if (!ending.message.empty()) ++broken;
    REQUIRE((is_new || points.size() == committed.size()));
    REQUIRE((is_new || !ending.message.empty()));
    if (is_new) {
      committed.push_back(content);
      base = points.back().id;
      REQUIRE(setup.content_of(*base) == content);
    }
  }
  CHECK(broken > kCuts / 4);
  CHECK(committed.size() > 3);
  std::vector<PointSummary> points = setup.store->reader().points();
  for (size_t i = 0; i < points.size(); ++i) CHECK(setup.content_of(points[i].id) == committed[i]);
}

TEST_CASE("what arrived before a cut is not sent again", "[transfer]") {
  std::mt19937 random(5);
  StoreSetup setup;
  Bytes content = noise(random, kDiskSize);
  auto [first, first_written] = setup.sync(content, std::nullopt, kDiskSize / 2);
  REQUIRE_FALSE(first.message.empty());
  auto [second, second_written] = setup.sync(content, std::nullopt);
  REQUIRE(second.message.empty());
  INFO("first " << first_written << ", second " << second_written << " bytes of " << kDiskSize);
  // Twice go the ids, and what was cut off on its way: a pair of sockets holds some 200 KiB.
  CHECK(first_written + second_written < kDiskSize + kDiskSize / 16 + (256 << 10));
  auto [third, third_written] = setup.sync(content, std::nullopt);
  REQUIRE(third.message.empty());
  CHECK(third_written < kDiskSize / 20);  // ids only
}

}  // namespace
}  // namespace images
