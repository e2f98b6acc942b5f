// Boot traces: their bytes, their recording, and what is read ahead by them.
#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <thread>

#include "base/error.h"
#include "base/memory_file_system.h"
#include "images/export/prefetcher.h"
#include "images/export/trace_recorder.h"
#include "images/format/boot_trace_format.h"
#include "images/store/single_flight.h"

namespace images {
namespace {

using std::chrono::milliseconds;

constexpr uint32_t kChunk = 65536;

BootTrace sample() {
  return {.chunk_size = kChunk,
          .guest_was_up = true,
          .recorded_ms = 1'700'000'000'000,
          .disks = {"vda", "vdb"},
          .entries = {{0, 5, 0}, {1, 0, 17}, {0, 4, 40}}};
}

template <typename Condition>
bool soon(Condition condition) {
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return true;
}

// A disk that counts what is prefetched.
class CountingDisk : public DiskReader {
 public:
  CountingDisk(const std::string& name, uint64_t size) {
    disk_.name = name;
    disk_.size = size;
  }
  const PointDisk& disk() const override { return disk_; }
  uint64_t size() const override { return disk_.size; }
  void read(uint64_t, base::MutableByteView) override {}
  std::vector<Extent> extents(uint64_t, uint64_t) override { return {}; }
  const images::ChunkHasher& hasher() const override { return hasher_; }
  std::vector<images::ChunkId> chunk_ids(uint64_t, uint64_t count) override {
    return std::vector<images::ChunkId>(count);
  }
  void prefetch(uint64_t offset) override {
    order_.lock()->push_back(offset / kChunk);
    if (fails) throw base::Error(base::ErrorCode::corrupt, "damaged");
  }
  std::vector<uint64_t> order() { return *order_.lock(); }
  std::atomic<bool> fails = false;

 private:
  PointDisk disk_;
  images::ChunkHasher hasher_{65536};
  base::Guarded<std::vector<uint64_t>> order_;
};

BootTrace trace_of(size_t count) {
  BootTrace trace{.chunk_size = kChunk, .disks = {"vda"}};
  for (size_t i = 0; i < count; ++i) trace.entries.push_back({0, 2 * i, 0});
  return trace;
}

}  // namespace

TEST_CASE("a boot trace's bytes", "[trace]") {
  base::Bytes bytes = format::encode_trace(sample());
  CHECK(base::to_hex(bytes) ==
        "4d554c5452414345010001000000010002000000030000000068e5cf8b010000030000007664610300000076"
        "6462050000000000000000000000000000000000000000000000110000000100000004000000000000002800"
        "00000000000095c3d6779bf0194a");
  CHECK(format::decode_trace(bytes) == sample());
  CHECK(format::decode_trace(format::encode_trace({.chunk_size = kChunk})).entries.empty());
}

TEST_CASE("a damaged boot trace is refused", "[trace]") {
  const base::Bytes good = format::encode_trace(sample());
  for (size_t at = 0; at < good.size(); ++at) {
    base::Bytes bytes = good;
    bytes[at] ^= 0x40;
    CHECK_THROWS_AS(format::decode_trace(bytes), base::Error);
    CHECK_THROWS_AS(format::decode_trace(base::ByteView(good).first(at)), base::Error);
  }
  // Right checksums around nonsense.
  BootTrace trace = sample();
  trace.entries[1].disk = 2;
  CHECK_THROWS_AS(format::decode_trace(format::encode_trace(trace)), base::Error);
  trace = sample();
  trace.entries[1].chunk = kMaxDiskSize / kChunk;
  CHECK_THROWS_AS(format::decode_trace(format::encode_trace(trace)), base::Error);
  trace = sample();
  trace.chunk_size = 0;
  CHECK_THROWS_AS(format::decode_trace(format::encode_trace(trace)), base::Error);
  trace = sample();
  trace.entries.resize(BootTrace::kMaxEntries + 1);
  CHECK_THROWS_AS(format::decode_trace(format::encode_trace(trace)), base::Error);
}

TEST_CASE("a recording ends, and holds first touches in order", "[trace]") {
  base::MemoryFileSystem files;
  files.make_directory("/vm");
  TraceLimits limits{.look_every = milliseconds(2)};
  auto written = [&] {
    return format::decode_trace(base::read_file(files, "/vm/trace", format::kMaxTraceSize));
  };
  auto expect = [&](bool was_up) {
    REQUIRE(soon([&] { return files.exists("/vm/trace"); }));
    BootTrace trace = written();
    CHECK(trace.guest_was_up == was_up);
    REQUIRE(trace.entries.size() == 4);
    CHECK((trace.entries[0].disk == 1 && trace.entries[0].chunk == 7));
    CHECK((trace.entries[1].disk == 0 && trace.entries[1].chunk == 1));
    CHECK((trace.entries[2].disk == 0 && trace.entries[2].chunk == 2));
    CHECK((trace.entries[3].disk == 1 && trace.entries[3].chunk == 0));
  };
  auto touch = [](TraceRecorder& recorder) {
    recorder.touch(1, 7 * kChunk + 512, 4096);
    recorder.touch(0, 2 * kChunk - 512, 1024);  // two chunks
    recorder.touch(0, kChunk, 512);             // again
    recorder.touch(1, 0, 0);                    // nothing
    recorder.touch(1, 0, 1);
  };
  SECTION("with the export") {
    TraceRecorder recorder(files, "/vm/trace", kChunk, {"vda", "vdb"}, limits);
    touch(recorder);
    CHECK(!files.exists("/vm/trace"));
    recorder.finish();
    recorder.touch(0, 99 * kChunk, 1);
    expect(false);
  }
  SECTION("when it is told that the guest is up") {
    TraceRecorder recorder(files, "/vm/trace", kChunk, {"vda", "vdb"}, limits);
    touch(recorder);
    files.create(trace_end_path("/vm/trace"));
    expect(true);
  }
  SECTION("after a while of quiet") {
    limits.quiet = milliseconds(20);
    TraceRecorder recorder(files, "/vm/trace", kChunk, {"vda", "vdb"}, limits);
    std::this_thread::sleep_for(milliseconds(40));  // before the first read nothing is quiet
    touch(recorder);
    expect(false);
  }
  SECTION("at its limit") {
    limits.entry_count = 4;
    TraceRecorder recorder(files, "/vm/trace", kChunk, {"vda", "vdb"}, limits);
    touch(recorder);
    recorder.touch(0, 50 * kChunk, 1 << 20);
    expect(false);
  }
  SECTION("without a read nothing is written") {
    TraceRecorder(files, "/vm/trace", kChunk, {"vda"}, limits).finish();
    CHECK(!files.exists("/vm/trace"));
  }
}

TEST_CASE("prefetching goes ahead of the guest by its window", "[trace]") {
  auto disk = std::make_shared<CountingDisk>("vda", 1000 * kChunk);
  Prefetcher prefetcher(trace_of(100), {disk}, {.thread_count = 1, .window_chunks = 10});
  REQUIRE(soon([&] { return disk->order().size() == 10; }));
  CHECK(disk->order().back() == 18);
  prefetcher.touch(0, 3 * kChunk, kChunk);   // a place that is not in the trace
  prefetcher.touch(0, 8 * kChunk + 5, 100);  // the fifth
  REQUIRE(soon([&] { return disk->order().size() == 15; }));
  std::this_thread::sleep_for(milliseconds(20));
  CHECK(disk->order().size() == 15);
  // What the guest has passed is not read any more.
  prefetcher.touch(0, 120 * kChunk, 1);
  REQUIRE(soon([&] { return disk->order().size() == 25; }));
  CHECK(disk->order()[15] == 122);
}

TEST_CASE("prefetching passes over what is not there", "[trace]") {
  auto disk = std::make_shared<CountingDisk>("vda", 10 * kChunk);
  disk->fails = true;
  BootTrace trace = trace_of(20);
  trace.disks.push_back("gone");
  trace.entries.insert(trace.entries.begin(), {1, 0, 0});
  Prefetcher prefetcher(trace, {disk}, {.thread_count = 3});
  CHECK(soon([&] { return disk->order().size() == 5; }));
}

TEST_CASE("one key is worked on by one thread at a time", "[trace]") {
  SingleFlight<uint64_t> flights;
  std::atomic<int> together = 0, overlaps = 0;
  std::array<std::atomic<int>, 3> in_key{};
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 200; ++round) {
        auto key = static_cast<uint64_t>((i + round) % 3);
        auto turn = flights.enter(key);
        if (++in_key[key] > 1) ++overlaps;
        if (++together > 1) std::this_thread::yield();
        --together;
        --in_key[key];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(overlaps == 0);
}

}  // namespace images
