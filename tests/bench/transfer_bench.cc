// Throughput of the transfer protocol on this machine, both ends in one process, incompressible
// chunks:
//   transfer_bench [--size SIZE] [--over tls|plain] [--have]
// Prints bytes a second and, because other work may share the processors, processor seconds a
// gigabyte.
#include <fmt/format.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "base/program.h"
#include "base/text.h"
#include "images/wire/transfer_client.h"
#include "tests/base/tls_pair.h"
#include "tests/images/wire/transfer_pair.h"

namespace {

using base::Bytes;
using images::ChunkId;

constexpr uint32_t kChunk = 65536;
constexpr size_t kBatchPlaces = 64;
constexpr size_t kSenders = 4;
constexpr size_t kDistinct = 256;  // chunks in memory; each has as many ids as are needed

// Lacks all or nothing, and keeps nothing.
class NullSink : public images::StoreSink {
 public:
  explicit NullSink(bool lacks) : lacks_(lacks) {}
  const images::ChunkHasher& hasher() const override { return hasher_; }
  std::vector<bool> lacking(std::span<const images::PlacedChunk> places) override {
    return std::vector<bool>(places.size(), lacks_);
  }
  void send(const images::Batch& batch,
            const std::function<images::EncodedChunk(size_t)>& encode) override {
    for (size_t i = 0; i < batch.places.size() && lacks_; ++i) bytes_ += encode(i).bytes.size();
  }
  images::SinkProgress progress() const override { return {bytes_, bytes_}; }
  images::PointId commit(const images::PointDetails&) override { return images::PointId::random(); }

 private:
  bool lacks_;
  images::ChunkHasher hasher_{kChunk};
  std::atomic<uint64_t> bytes_{0};
};

double processor_seconds() {
  rusage usage;
  ::getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Sends `batches` batches by several threads. Each batch's chunks are numbered in their first
// bytes, so that no two are equal.
void send_all(images::PointSink& sink, uint64_t batches, const std::vector<Bytes>& noise) {
  std::atomic<uint64_t> next{0};
  std::vector<std::thread> senders;
  for (size_t sender = 0; sender < kSenders; ++sender) {
    senders.emplace_back([&] {
      for (uint64_t sequence = next++; sequence < batches; sequence = next++) {
        images::Batch batch{sequence, 0, {}};
        std::vector<Bytes> chunks;
        for (uint64_t i = 0; i < kBatchPlaces; ++i) {
          chunks.push_back(noise[(sequence + i) % kDistinct]);
          base::store_u64(chunks.back().data(), sequence * kBatchPlaces + i);
          batch.places.push_back(
              {sequence * kBatchPlaces + i, 1, sink.hasher().id_of(chunks.back())});
        }
        sink.send(batch, [&](size_t i) {
          return images::EncodedChunk{images::Codec::raw, chunks[i]};
        });
      }
    });
  }
  for (std::thread& sender : senders) sender.join();
}

int run(const base::Arguments& arguments) {
  uint64_t batches = base::parse_size(arguments.get("size")) / kChunk / kBatchPlaces;
  uint64_t size = batches * kBatchPlaces * kChunk;
  std::unique_ptr<base::ByteStream> near, far;
  if (arguments.get("over") == "tls") {
    tests::Authority authority;
    auto pair = tests::connect_pair(base::TlsContext::server(authority.server_options()),
                                    base::TlsContext::client(authority.client_options()));
    near = std::move(pair.client);
    far = std::move(pair.server);
  } else {
    std::tie(near, far) = base::make_stream_pair();
  }
  std::vector<Bytes> noise(kDistinct, Bytes(kChunk));
  for (Bytes& chunk : noise) base::fill_random(chunk);
  images::TestHost host;
  host.make_sink = [&](const images::SyncPlan&) {
    return std::make_unique<NullSink>(!arguments.has("have"));
  };
  images::Serving serving(std::move(far), host);
  auto start = std::chrono::steady_clock::now();
  double processor_start = processor_seconds();
  {
    auto sink = images::open_remote_sink(std::move(near), {"bench", {{"vda", size, std::nullopt}}});
    send_all(*sink, batches, noise);
    sink->commit({});
  }
  images::Ending ending = serving.ending();
  if (!ending.message.empty()) throw base::Error(ending.code, ending.message);
  std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  double processor = processor_seconds() - processor_start;
  rusage usage;
  ::getrusage(RUSAGE_SELF, &usage);
  fmt::print("{} {}: {:.0f} MB/s, {:.2f} processor seconds a GB, {} MiB resident at most\n",
             arguments.get("over"), arguments.has("have") ? "ids only" : "all chunks",
             static_cast<double>(size) / 1e6 / elapsed.count(),
             processor / (static_cast<double>(size) / 1e9), usage.ru_maxrss / 1024);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  base::Command command;
  command.summary = "Measures the transfer protocol on this machine";
  command.declare_options = [](base::options::options_description_easy_init add) {
    using base::options::value;
    add("size", value<std::string>()->default_value("2G")->value_name("SIZE"),
        "bytes of disk to send");
    add("over", value<std::string>()->default_value("tls")->value_name("KIND"),
        "tls (loopback) or plain (socket pair)");
    add("have", "the receiver has every chunk");
  };
  command.run = run;
  return base::run_program({"transfer_bench", "measures the transfer protocol", {command}}, argc,
                           argv);
}
