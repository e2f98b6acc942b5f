// store_parallel_bench STORE IMAGE COUNT: COUNT machines are imported into one store, all at once,
// each with chunks that no other has. Prints JSON with the total rate. See scripts/bench.
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "images/sources/raw_disk_source.h"
#include "images/store/store_writer.h"
#include "images/sync/sync_engine.h"

namespace {

// An image whose chunks are this machine's alone: one byte of each is another.
class MarkedSource : public images::DiskSource {
 public:
  MarkedSource(const std::string& path, uint8_t mark) : source_(path), mark_(mark) {}
  uint64_t size() const override { return source_.size(); }
  std::vector<images::Extent> extents(uint64_t offset, uint64_t length) override {
    return source_.extents(offset, length);
  }
  void read(uint64_t offset, base::MutableByteView out) override {
    source_.read(offset, out);
    for (size_t place = 0; place < out.size(); place += images::kDefaultChunkSize)
      out[place] = static_cast<uint8_t>(out[place] ^ mark_);
  }

 private:
  images::RawDiskSource source_;
  uint8_t mark_;
};

void import_machine(images::StoreWriter& writer, const std::string& image, uint32_t number) {
  MarkedSource source(image, static_cast<uint8_t>(number));
  images::SyncPlan plan{"machine-" + std::to_string(number),
                        {{"vda", source.size(), std::nullopt}}};
  auto sink = writer.begin(plan);
  images::copy_disks(plan, {&source}, *sink, {});
  images::PointDetails details;
  details.time_ms = base::now_ms();
  sink->commit(details);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: store_parallel_bench STORE IMAGE COUNT\n");
    return 2;
  }
  try {
    auto count = static_cast<uint32_t>(std::stoul(argv[3]));
    auto writer = images::StoreWriter::open(base::real_file_system(), argv[1]);
    uint64_t size = images::RawDiskSource(argv[2]).size();
    auto begin = std::chrono::steady_clock::now();
    {
      std::vector<std::jthread> threads;
      for (uint32_t i = 0; i < count; ++i)
        threads.emplace_back([&, i] { import_machine(*writer, argv[2], i); });
    }
    double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::printf("{\"bytes_per_second\": %.0f}\n", static_cast<double>(size) * count / seconds);
    return 0;
  } catch (const base::Error& error) {
    std::fprintf(stderr, "store_parallel_bench: %s\n", error.what());
    return base::exit_code(error.code());
  }
}
