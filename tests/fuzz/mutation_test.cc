// A bounded run of every fuzz target by a mutator of our own, the same on every machine:
// scripts/check runs libFuzzer on them for longer. And crafted stores: whole, with right checksums,
// and nonsense inside.
#include <catch2/catch.hpp>

#include <filesystem>
#include <random>

#include "base/error.h"
#include "base/log.h"
#include "base/memory_file_system.h"
#include "base/scratch_directory.h"
#include "images/codec.h"
#include "images/store/pack_appender.h"
#include "images/store/place/layout.h"
#include "images/store/store_context.h"
#include "images/store/store_writer.h"
#include "tests/fuzz/appliance_targets.h"
#include "tests/fuzz/fuzz_targets.h"

namespace images {
namespace {

using base::Bytes;

void mutate(Bytes& bytes, std::mt19937& random) {
  static constexpr uint32_t kInteresting[] = {0,      1,          0x7f,       0x80,      0xff,
                                              0xffff, 0x7fffffff, 0x80000000, 0xffffffff};
  for (uint32_t i = random() % 4 + 1; i > 0; --i) {
    size_t at = bytes.empty() ? 0 : random() % bytes.size();
    switch (random() % 6) {
      case 0: bytes.resize(at); break;
      case 1:
        bytes.insert(bytes.begin() + static_cast<ptrdiff_t>(at), random() % 40,
                     static_cast<uint8_t>(random()));
        break;
      case 2:
        if (at + 4 <= bytes.size())
          base::store_u32(bytes.data() + at, kInteresting[random() % std::size(kInteresting)]);
        break;
      case 3:
        if (at < bytes.size()) bytes.erase(bytes.begin() + static_cast<ptrdiff_t>(at));
        break;
      default:
        if (!bytes.empty()) bytes[at] ^= static_cast<uint8_t>(1u << random() % 8);
    }
  }
}

// A store of one pack and some points in which every record is well formed and little fits
// together.
class CraftedStore {
 public:
  explicit CraftedStore(uint32_t seed) : random_(seed) {
    init_store(files, "/store", {.chunk_size = 4096});
    id_ = read_parameters(files, "/store").id;
    write_pack();
    for (int i = 0; i < 4; ++i) write_manifest();
  }

  base::MemoryFileSystem files;

 private:
  // Few ids, so that they meet: chunks as nodes, nodes below themselves, several records of one id.
  ChunkId any_id() {
    ChunkId id;
    id.bytes[0] = static_cast<uint8_t>(random_() % 12);
    return id;
  }

  void write_pack() {
    RecordCodec codec({id_, 4096, 64, false}, {});
    ChunkEncoder encoder(1);
    PackId pack = PackId::random();
    Bytes bytes = format::encode_pack_header(id_, pack);
    std::vector<format::DirectoryEntry> entries;
    for (int i = 0; i < 16; ++i) {
      ChunkId id = any_id();
      Record record = random_() % 4 == 0 ? codec.seal_chunk(id, encoder.encode(Bytes(4096, 3)))
                                         : codec.seal_node(id, any_node());
      if (random_() % 8 == 0)
        record.header.plain_size = static_cast<uint32_t>(random_() % (1u << 20));
      entries.push_back(
          {record.header.kind, static_cast<uint32_t>(bytes.size()), record.header.stored_size, id});
      format::encode_record_header(record.header, bytes);
      bytes.insert(bytes.end(), record.stored.begin(), record.stored.end());
    }
    if (random_() % 3 != 0) {
      if (random_() % 4 == 0) entries[random_() % entries.size()].stored_size = 1;
      Bytes tail = encode_pack_tail(bytes.size(), entries);
      bytes.insert(bytes.end(), tail.begin(), tail.end());
    }
    files.make_directory(layout::pack_shard("/store", pack));
    files.create(layout::pack_file("/store", pack))->append(bytes);
  }

  Bytes any_node() {
    format::Node node;
    node.level = static_cast<uint8_t>(random_() % 7);
    node.children.resize(64);
    for (uint32_t i = random_() % 6 + 1; i > 0; --i) node.children[random_() % 64] = any_id();
    return format::encode_node(node);
  }

  void write_manifest() {
    Point point;
    point.id = PointId::random();
    point.machine.bytes[0] = static_cast<uint8_t>(random_() % 2);
    point.machine_name = "crafted";
    point.time_ms = random_() % 3 == 0 ? kLatestTime_ms : random_() % 100;
    point.dates.order = random_() % 3 == 0 ? (1ull << 63) - 1 : point.time_ms;
    for (uint32_t i = random_() % 3 + 1; i > 0; --i) {
      DiskKey key;
      key.bytes[0] = static_cast<uint8_t>(random_() % 2);
      point.disks.push_back(
          {"vda", random_() % 2 == 0 ? kMaxDiskSize : 512 * (random_() % 100 + 1), any_id(), key});
    }
    files.make_directory(layout::machine_directory("/store", point.machine));
    files.create(layout::manifest_file("/store", point.machine, point.id))
        ->append(format::encode_manifest(point, {}));
  }

  std::mt19937 random_;
  StoreId id_;
};

// Everything a user might do with it; each may fail in words.
void use(base::FileSystem& files, const std::string& index) {
  auto quietly = [](const std::function<void()>& action) {
    try {
      action();
    } catch (const base::Error&) {
    }
  };
  auto writer = StoreWriter::open(files, "/store", {}, index);
  for (const PointSummary& point : writer->reader().points()) {
    quietly([&] {
      auto disk = writer->reader().open_disk(point.id, "vda");
      Bytes bytes(std::min<uint64_t>(disk->size(), 1 << 20));
      quietly([&] { disk->read(0, bytes); });
      quietly([&] { disk->read(disk->size() - bytes.size(), bytes); });
      quietly([&] { disk->extents(0, disk->size()); });
    });
  }
  quietly([&] { writer->check({.deep = true}); });
  quietly([&] { writer->compact(); });
  for (const PointSummary& point : writer->reader().points())
    quietly([&] { writer->delete_point(point.id); });
  quietly([&] { writer->compact(); });
  writer->figures();
}

}  // namespace

TEST_CASE("no bytes crash a decoder") {
  std::vector<FuzzTarget> all = fuzz_targets();
  for (FuzzTarget& target : tests::appliance_targets()) all.push_back(std::move(target));
  for (const FuzzTarget& target : all) {
    INFO(target.name);
    std::mt19937 random(17);
    for (const Bytes& sample : target.samples) {
      target.run(sample);
      for (int i = 0; i < 2000; ++i) {
        Bytes bytes = sample;
        mutate(bytes, random);
        target.run(bytes);
      }
    }
    target.run({});
    SUCCEED(target.name);
  }
}

TEST_CASE("no crafted store crashes a process") {
  auto level = base::log().level();
  base::log().set_level(spdlog::level::off);
  std::string root = std::filesystem::exists("/dev/shm") ? "/dev/shm" : "/tmp";
  for (uint32_t seed = 0; seed < 60; ++seed) {
    INFO("seed " << seed);
    base::ScratchDirectory scratch(root, "muletto-crafted-test");
    CraftedStore store(seed);
    try {
      use(store.files, scratch.path() + "/index");
      SUCCEED(seed);
    } catch (const base::Error& error) {
      FAIL_CHECK("it does not open: " << error.message());
    }
  }
  base::log().set_level(level);
}

}  // namespace images
