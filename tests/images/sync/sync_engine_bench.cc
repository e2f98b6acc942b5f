// Throughput of the engine into a sink that lacks everything and keeps nothing. Not part of the
// tests:
//   unit_tests "[bench]"           with MULETTO_BENCH_IMAGE=FILE for an image of your own
#include <fcntl.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "base/scratch_directory.h"
#include "images/sources/image_file_source.h"
#include "images/sync/sync_engine.h"

namespace images {
namespace {

class NullSink : public PointSink {
 public:
  explicit NullSink(bool lacks) : lacks_(lacks) {}
  const ChunkHasher& hasher() const override { return hasher_; }
  void send(const Batch& batch, const std::function<EncodedChunk(size_t)>& encode) override {
    for (size_t i = 0; i < batch.places.size() && lacks_; ++i) {
      if (!batch.places[i].id.is_zero()) bytes_ += encode(i).bytes.size();
    }
  }
  SinkProgress progress() const override { return {.bytes_sent = bytes_}; }
  PointId commit(const PointDetails&) override { return PointId::random(); }

 private:
  bool lacks_;
  ChunkHasher hasher_{65536};
  std::atomic<uint64_t> bytes_ = 0;
};

// Half noise, half words: shrinks to about 60 %.
void write_sample(const std::string& path, uint64_t size) {
  std::ofstream file(path, std::ios::binary);
  base::Bytes block(1u << 20);
  for (uint64_t written = 0; written < size; written += block.size()) {
    base::fill_random(block);
    for (size_t i = 0; i < block.size(); ++i) {
      if (i / 2048 % 2 == 0) block[i] = static_cast<uint8_t>('a' + block[i] % 8);
    }
    file.write(reinterpret_cast<const char*>(block.data()),
               static_cast<std::streamsize>(block.size()));
  }
}

void measure(const std::string& path, bool lacks, uint32_t thread_count) {
  ImageSource image = open_image_source(path);
  SyncPlan plan{"bench", {{"vda", image.disk->size(), std::nullopt}}};
  NullSink sink(lacks);
  auto start = std::chrono::steady_clock::now();
  CopyProgress figures = copy_disks(plan, {image.disk.get()}, sink, {.thread_count = thread_count});
  std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  std::cout << (lacks ? "hash and compress" : "hash only        ") << ", " << thread_count
            << " threads: " << static_cast<double>(figures.bytes_read) / 1e6 / elapsed.count()
            << " MB/s of disk, " << figures.bytes_sent / 1000000 << " MB out of "
            << figures.bytes_read / 1000000 << "\n";
}

TEST_CASE("throughput into a sink that keeps nothing", "[.][bench]") {
  base::ScratchDirectory scratch("/tmp", "muletto-bench");
  const char* given = std::getenv("MULETTO_BENCH_IMAGE");
  std::string path = given != nullptr ? given : scratch.path() + "/sample";
  if (given == nullptr) write_sample(path, 1ull << 30);
  for (bool lacks : {false, true}) {
    for (uint32_t thread_count : {1u, 2u}) measure(path, lacks, thread_count);
  }
}

}  // namespace
}  // namespace images
