#include "images/sync/sync_engine.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <random>
#include <thread>

#include "base/error.h"
#include "images/codec.h"
#include "images/sync/copy_planner.h"
#include "tests/images/sync/model_sink.h"

namespace images {
namespace {

using Random = std::mt19937_64;

constexpr uint32_t kChunkSize = 65536;

// A disk in memory with extents given by hand.
class MemorySource : public DiskSource {
 public:
  MemorySource(base::Bytes content, std::vector<Extent> extents)
      : content_(std::move(content)), extents_(std::move(extents)) {}

  uint64_t size() const override { return content_.size(); }
  std::vector<Extent> extents(uint64_t offset, uint64_t length) override {
    std::vector<Extent> out;
    for (const Extent& extent : extents_) {
      uint64_t begin = std::max(extent.offset, offset);
      uint64_t end = std::min(extent.offset + extent.length, offset + length);
      if (begin < end) out.push_back({begin, end - begin, extent.kind});
    }
    return out;
  }
  void read(uint64_t offset, base::MutableByteView out) override {
    bytes_read += out.size();
    if (offset + out.size() > fail_behind)
      throw base::Error(base::ErrorCode::io, "the disk is broken");
    std::copy_n(content_.begin() + static_cast<ptrdiff_t>(offset), out.size(), out.begin());
  }

  std::atomic<uint64_t> bytes_read = 0;
  uint64_t fail_behind = UINT64_MAX;

 private:
  base::Bytes content_;
  std::vector<Extent> extents_;
};

struct RandomDisk {
  ModelDisk model;
  base::Bytes content;
  std::unique_ptr<MemorySource> source;
};

// A disk whose extents are a random walk of sectors: what is `unchanged` has the base's bytes,
// `zero` zeros, `data` either fresh bytes, repeated ones, or zeros nobody knew of.
RandomDisk random_disk(Random& random, const std::string& name, uint64_t max_sectors) {
  RandomDisk disk;
  uint64_t size = 512 * std::uniform_int_distribution<uint64_t>(1, max_sectors)(random);
  bool has_base = random() % 2 == 0;
  disk.model.planned = {name, size, has_base ? std::optional(PointId::random()) : std::nullopt};
  disk.model.content.resize(size);
  if (has_base) {
    for (uint8_t& byte : disk.model.content) byte = static_cast<uint8_t>(random());
  }
  disk.content = disk.model.content;
  std::vector<Extent> extents;
  for (uint64_t offset = 0; offset < size;) {
    uint64_t longest = random() % 8 == 0 ? size : 300 * 512;
    uint64_t length = 512 * std::uniform_int_distribution<uint64_t>(1, longest / 512)(random);
    length = std::min(length, size - offset);
    ExtentKind kind = static_cast<ExtentKind>(random() % (has_base ? 3 : 2));
    uint64_t flavour = random() % 3;
    for (uint64_t i = offset; i < offset + length && kind != ExtentKind::unchanged; ++i) {
      bool blank = kind == ExtentKind::zero || flavour == 0;
      disk.content[i] = blank          ? 0
                        : flavour == 1 ? static_cast<uint8_t>(random())
                                       : static_cast<uint8_t>(i / 512 % 7);
    }
    extents.push_back({offset, length, kind});
    offset += length;
  }
  disk.source = std::make_unique<MemorySource>(disk.content, extents);
  return disk;
}

uint64_t seed_of_this_run() {
  const char* given = std::getenv("MULETTO_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
}

SyncPlan plan_of(const std::vector<RandomDisk>& disks) {
  SyncPlan plan{"machine", {}};
  for (const RandomDisk& disk : disks) plan.disks.push_back(disk.model.planned);
  return plan;
}

std::vector<ModelDisk> models_of(const std::vector<RandomDisk>& disks) {
  std::vector<ModelDisk> models;
  for (const RandomDisk& disk : disks) models.push_back(disk.model);
  return models;
}

std::vector<DiskSource*> sources_of(const std::vector<RandomDisk>& disks) {
  std::vector<DiskSource*> sources;
  for (const RandomDisk& disk : disks) sources.push_back(disk.source.get());
  return sources;
}

// One disk of `size` bytes, all of it data and no byte of it zero.
std::vector<RandomDisk> full_disk(uint64_t size) {
  std::vector<RandomDisk> disks(1);
  disks[0].content.resize(size);
  for (uint64_t i = 0; i < size; ++i)
    disks[0].content[i] = static_cast<uint8_t>(1 + (i / 4096) % 251);
  disks[0].model = {{"vda", size, std::nullopt}, base::Bytes(size)};
  disks[0].source = std::make_unique<MemorySource>(
      disks[0].content, std::vector<Extent>{{0, size, ExtentKind::data}});
  return disks;
}

TEST_CASE("random disks arrive byte for byte") {
  uint64_t seed = seed_of_this_run();
  INFO("replay with MULETTO_TEST_SEED=" << seed);
  Random random(seed);
  for (int round = 0; round < 40; ++round) {
    const uint32_t chunk_size = 4096u << (random() % 5);
    std::vector<RandomDisk> disks;
    for (uint64_t i = 0; i <= random() % 3; ++i) {
      disks.push_back(random_disk(random, "vd" + std::string(1, static_cast<char>('a' + i)), 8000));
    }
    SyncPlan plan = plan_of(disks);
    ModelSink sink(models_of(disks), chunk_size);
    if (random() % 4 == 0) {
      sink.on_send = [](const Batch& batch) {
        if (batch.sequence % 5 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
      };
    }
    CopyOptions options;
    options.thread_count = 1 + static_cast<uint32_t>(random() % 4);
    CopyProgress last;
    options.on_progress = [&](const CopyProgress& progress) { last = progress; };
    CopyProgress figures = copy_disks(plan, sources_of(disks), sink, options);
    sink.commit({});

    INFO("round " << round << ", chunk size " << chunk_size);
    REQUIRE(sink.broken_rules() == std::vector<std::string>{});
    uint64_t total = 0, read = 0;
    for (size_t i = 0; i < disks.size(); ++i) {
      REQUIRE(sink.content(i) == disks[i].content);
      total += disks[i].content.size();
      read += disks[i].source->bytes_read;
    }
    REQUIRE(figures.bytes_total == total);
    REQUIRE(figures.bytes_done == total);
    REQUIRE(figures.bytes_read == read);
    REQUIRE(last.bytes_done == total);
  }
}

TEST_CASE("chunks are widened to what must be read") {
  using Kind = ExtentKind;
  auto kinds = [](const std::vector<Extent>& extents) {
    std::string out;
    for (const ChunkRun& run : chunk_runs(extents, 4096)) {
      out.append(run.count, run.kind == Kind::data ? 'd' : run.kind == Kind::zero ? 'z' : '-');
    }
    return out;
  };
  CHECK(kinds({{0, 8192, Kind::data}, {8192, 8192, Kind::zero}}) == "ddzz");
  CHECK(
      kinds({{0, 512, Kind::data}, {512, 8192 - 512, Kind::zero}, {8192, 4096, Kind::unchanged}}) ==
      "dz-");
  CHECK(kinds({{0, 6144, Kind::zero}, {6144, 6144, Kind::unchanged}}) == "zd-");
  CHECK(kinds({{0, 512, Kind::zero}, {512, 512, Kind::unchanged}, {1024, 512, Kind::zero}}) == "d");
  CHECK(kinds({{0, 4096, Kind::unchanged}, {4096, 512, Kind::zero}, {4608, 512, Kind::data}}) ==
        "-d");
}

TEST_CASE("only what changed is read") {
  constexpr uint64_t kSize = 64u << 20;
  std::vector<RandomDisk> disks = full_disk(kSize);
  disks[0].model.planned.base = PointId::random();
  disks[0].model.content = disks[0].content;
  disks[0].source = std::make_unique<MemorySource>(
      disks[0].content,
      std::vector<Extent>{{0, 10'000'384, ExtentKind::unchanged},
                          {10'000'384, 512, ExtentKind::data},
                          {10'000'896, kSize - 10'000'896, ExtentKind::unchanged}});
  SyncPlan plan = plan_of(disks);
  ModelSink sink(models_of(disks), kChunkSize);
  CopyProgress figures = copy_disks(plan, sources_of(disks), sink, {});
  CHECK(figures.bytes_read == kChunkSize);
  CHECK(figures.bytes_done == kSize);
  CHECK(sink.encoded_chunk_count() == 1);
}

TEST_CASE("a failing source ends the copy with its error") {
  std::vector<RandomDisk> disks = full_disk(40u << 20);
  disks[0].source->fail_behind = 20u << 20;
  SyncPlan plan = plan_of(disks);
  ModelSink sink(models_of(disks), kChunkSize);
  try {
    copy_disks(plan, sources_of(disks), sink, {});
    FAIL("no error");
  } catch (const base::Error& error) {
    CHECK(error.code() == base::ErrorCode::io);
    CHECK(error.message() == "the disk is broken");
  }
}

TEST_CASE("a failing sink ends the copy with its error, also when others wait for it") {
  std::vector<RandomDisk> disks = full_disk(160u << 20);
  SyncPlan plan = plan_of(disks);
  ModelSink sink(models_of(disks), kChunkSize);
  sink.on_send = [](const Batch& batch) {
    if (batch.sequence != 1) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    throw base::Error(base::ErrorCode::no_space, "the store is full");
  };
  try {
    copy_disks(plan, sources_of(disks), sink, {.thread_count = 4});
    FAIL("no error");
  } catch (const base::Error& error) {
    CHECK(error.code() == base::ErrorCode::no_space);
  }
  CHECK(sink.broken_rules() == std::vector<std::string>{});
}

TEST_CASE("a copy stops when asked to") {
  std::vector<RandomDisk> disks = full_disk(160u << 20);
  SyncPlan plan = plan_of(disks);
  ModelSink sink(models_of(disks), kChunkSize);
  std::stop_source stop;
  sink.on_send = [&](const Batch& batch) {
    if (batch.sequence == 3) stop.request_stop();
  };
  CopyOptions options;
  options.stop = stop.get_token();
  try {
    copy_disks(plan, sources_of(disks), sink, options);
    FAIL("not stopped");
  } catch (const base::Error& error) {
    CHECK(error.code() == base::ErrorCode::cancelled);
  }
}

TEST_CASE("chunks that do not shrink stay as they are") {
  ChunkEncoder encoder(1);
  base::Bytes noise(kChunkSize), text(kChunkSize, 'x');
  base::fill_random(noise);
  EncodedChunk raw = encoder.encode(noise);
  CHECK(raw.codec == Codec::raw);
  CHECK(decode(raw, kChunkSize) == noise);
  EncodedChunk small = encoder.encode(text);
  CHECK(small.codec == Codec::zstd);
  CHECK(small.bytes.size() < 100);
  CHECK(decode(small, kChunkSize) == text);
  // Until they are forgotten, results stay, however many there are.
  CHECK(raw.bytes.size() == kChunkSize);
  std::vector<EncodedChunk> more;
  for (uint8_t i = 0; i < 40; ++i) {
    noise[0] = i;
    more.push_back(encoder.encode(noise));
  }
  for (uint8_t i = 0; i < 40; ++i) {
    noise[0] = i;
    CHECK(decode(more[i], kChunkSize) == noise);
  }
  encoder.forget();
  encoder.encode(text);
  CHECK(decode(encoder.encode(noise), kChunkSize) == noise);
}

TEST_CASE("names have ids that depend on kind and key") {
  ChunkHasher plain(kChunkSize);
  ChunkHasher keyed(kChunkSize, base::Key256{1});
  CHECK(plain.machine_id("web") == plain.machine_id("web"));
  CHECK(plain.machine_id("web") != plain.machine_id("db"));
  CHECK(plain.machine_id("web") != keyed.machine_id("web"));
  CHECK(plain.machine_id("web").bytes != plain.disk_key("web").bytes);
  CHECK(plain.id_of(base::as_bytes("abc")).hex() ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace images
