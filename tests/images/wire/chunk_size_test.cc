// The receiver's chunk size, whichever it is, decides how a sender cuts its disks.
#include <catch2/catch.hpp>
#include <random>

#include "base/memory_file_system.h"
#include "base/scratch_directory.h"
#include "images/store/store_writer.h"
#include "images/sync/sync_engine.h"
#include "images/wire/frame_channel.h"
#include "images/wire/transfer_client.h"
#include "tests/images/wire/transfer_pair.h"

namespace images {
namespace {

// Noise, words and zeros; as long as no chunk's multiple.
class MixedDisk : public DiskSource {
 public:
  explicit MixedDisk(uint64_t size) : content_(size) {
    std::mt19937 random(3);
    for (size_t at = 0; at < size; at += 10'000) {
      if (random() % 3 == 0) continue;
      bool noise = random() % 2 == 0;
      for (size_t i = at; i < std::min<size_t>(size, at + 10'000); ++i)
        content_[i] = static_cast<uint8_t>(noise ? random() : at / 10'000 + 1);
    }
  }
  const base::Bytes& content() const { return content_; }
  uint64_t size() const override { return content_.size(); }
  std::vector<Extent> extents(uint64_t offset, uint64_t length) override {
    return {{offset, length, ExtentKind::data}};
  }
  void read(uint64_t offset, base::MutableByteView out) override {
    std::copy_n(content_.begin() + static_cast<ptrdiff_t>(offset), out.size(), out.begin());
  }

 private:
  base::Bytes content_;
};

}  // namespace

TEST_CASE("a store of each chunk size takes syncs over the wire", "[transfer]") {
  const uint32_t chunk_size = GENERATE(4096u, 16384u, 65536u, 1u << 20);
  CAPTURE(chunk_size);
  base::ScratchDirectory scratch("/tmp", "muletto-chunk-test");
  base::MemoryFileSystem files;
  files.make_directory("/store");
  init_store(files, "/store", {.chunk_size = chunk_size});
  auto writer = StoreWriter::open(files, "/store", {}, scratch.path() + "/index");
  TestHost host;
  host.make_sink = [&](const SyncPlan& plan) { return writer->begin(plan); };
  MixedDisk disk((5u << 20) + 3 * 512);
  std::vector<DiskSource*> sources{&disk};
  SyncPlan plan{"db", {{"vda", disk.size(), std::nullopt}}};
  auto [near, far] = base::make_stream_pair();
  Serving serving(std::move(far), host);
  auto sink = open_remote_sink(std::move(near), plan);
  CHECK(sink->hasher().chunk_size() == chunk_size);
  copy_disks(plan, sources, *sink, {});
  PointId id = sink->commit({});
  sink.reset();
  CHECK(serving.ending().message == "");
  auto reader = writer->reader().open_disk(id, "vda");
  base::Bytes read(reader->size());
  reader->read(0, read);
  CHECK(read == disk.content());
  CHECK(writer->check({.deep = true}).good());
}

TEST_CASE("a chunk size that no store has is refused, with a sentence", "[transfer]") {
  for (uint32_t bad : {0u, 2048u, 5000u, 2u << 20}) {
    base::MemoryFileSystem files;
    files.make_directory("/store");
    CHECK_THROWS_WITH(init_store(files, "/store", {.chunk_size = bad}),
                      Catch::Matchers::Contains("a power of two from 4 KiB to 1 MiB"));
    auto [near, far] = base::make_stream_pair();
    std::thread receiver([bad, stream = std::move(far)] {
      FrameChannel channel(*stream);
      channel.next();
      channel.write(wire::encode(wire::Welcome{wire::kVersion, "fake"}));
      channel.next();
      channel.write(wire::encode(wire::Ready{bad, std::nullopt}));
      stream->finish();
    });
    Ending ending = ending_of([&, &stream = near] {
      open_remote_sink(std::move(stream), {"db", {{"vda", 512, std::nullopt}}});
    });
    CHECK(ending.code == base::ErrorCode::corrupt);
    CHECK_THAT(ending.message, Catch::Matchers::Contains("impossible chunk size"));
    receiver.join();
  }
}

}  // namespace images
