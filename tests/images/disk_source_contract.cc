// What every DiskSource promises, run on each of them: a raw file, an image behind an NBD server, a
// chain of differencing files, an archive, and a disk of a point; and what a DiskReader promises beyond that.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <random>
#include <thread>

#include "base/scratch_directory.h"
#include "base/subprocess.h"
#include "base/unique_fd.h"
#include "images/codec.h"
#include "images/imports/vma_archive.h"
#include "images/sources/image_file_source.h"
#include "images/sources/raw_disk_source.h"
#include "images/store/store_reader.h"
#include "images/store/store_writer.h"
#include "images/sync/sync_engine.h"
#include "images/wire/remote_point.h"
#include "tests/images/wire/reading_host.h"

namespace images {
namespace {

constexpr uint64_t kSize = (4u << 20) + 3 * 512;  // no multiple of a chunk
constexpr uint32_t kChunk = 4096;
const std::string kTool = std::string(MULETTO_TEST_DATA) + "/tools/foreign-images";

// Data, written zeros, and holes.
base::Bytes sample_content() {
  base::Bytes bytes(kSize);
  std::mt19937 random(4);
  for (size_t at = 0; at < kSize; at += 65536) {
    if (random() % 2 == 0) continue;
    for (size_t i = at; i < std::min<size_t>(kSize, at + random() % 65536); ++i)
      bytes[i] = static_cast<uint8_t>(random());
  }
  std::fill(bytes.end() - 512, bytes.end(), uint8_t{0x5a});
  return bytes;
}

struct Candidate {
  base::ScratchDirectory scratch{"/tmp", "muletto-disk-test"};
  base::Bytes content = sample_content();
  std::unique_ptr<StoreReader> store;
  std::unique_ptr<DiskSource> disk;

  ~Candidate() { disk.reset(); }
  explicit Candidate(const std::string& name) {
    std::string raw = write_raw();
    if (name == "raw file") {
      disk = std::make_unique<RawDiskSource>(raw);
    } else if (name == "image behind NBD") {
      std::string qcow2 = scratch.path() + "/disk.qcow2";
      base::run_checked({"qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, qcow2});
      ImageOptions options{.format = "qcow2", .runtime_directory = scratch.path()};
      disk = open_image_source(qcow2, options).disk;
    } else if (name == "chain of VHD" || name == "chain of VHDX") {
      disk = chain_of(raw, name == "chain of VHD" ? "vhd" : "vhdx");
    } else if (name == "archive of Proxmox") {
      disk = archive_of(raw);
    } else if (name == "disk of a point over the wire") {
      disk = over_the_wire(raw);
    } else {
      disk = point_of(raw);
    }
  }

  // A child of a disk of zeros, made by the tool that writes as Hyper-V and Proxmox do.
  std::unique_ptr<DiskSource> chain_of(const std::string& raw, const std::string& kind) {
    std::string parent = scratch.path() + "/parent." + kind, child = scratch.path() + "/x." + kind;
    std::string format = kind == "vhd" ? "vpc" : kind;
    base::run_checked({"qemu-img", "create", "-q", "-f", format, "-o",
                       kind == "vhd" ? "force_size=on" : "block_size=2097152", parent,
                       std::to_string(kSize)});
    base::run_checked({kTool, kind, parent, child, raw});
    return open_image_source(child, {.format = format}).disk;
  }

  std::unique_ptr<DiskSource> archive_of(const std::string& raw) {
    std::string path = scratch.path() + "/x.vma";
    base::run_checked({kTool, "vma", path, "-", "drive-scsi0=" + raw});
    archive = base::UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    return VmaArchive::open({archive.get()}, path, {})->disk(0);
  }

  std::unique_ptr<DiskSource> over_the_wire(const std::string& raw) {
    point_of(raw);
    host.store = store.get();
    host.point = store->find_point("db@latest");
    auto [near, far] = base::make_stream_pair();
    serving = std::make_unique<Serving>(std::move(far), host);
    return RemotePoint::open(std::move(near), host.ticket)->open_disk("vda");
  }

  base::UniqueFd archive;
  ReadingHost host;
  std::unique_ptr<Serving> serving;  // ends when the disk is gone

  std::string write_raw() {
    std::string path = scratch.path() + "/disk.raw";
    base::UniqueFd fd(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    REQUIRE(::ftruncate(fd.get(), kSize) == 0);
    for (size_t at = 0; at < kSize; at += 65536) {
      auto piece = base::ByteView(content).subspan(at, std::min<size_t>(65536, kSize - at));
      if (base::is_all_zero(piece)) continue;
      REQUIRE(::pwrite(fd.get(), piece.data(), piece.size(), static_cast<off_t>(at)) ==
              static_cast<ssize_t>(piece.size()));
    }
    return path;
  }

  std::unique_ptr<DiskSource> point_of(const std::string& raw) {
    std::string path = scratch.path() + "/store";
    init_store(base::real_file_system(), path, {.chunk_size = kChunk});
    {
      auto writer = StoreWriter::open(base::real_file_system(), path);
      RawDiskSource source(raw);
      std::vector<DiskSource*> sources{&source};
      SyncPlan plan{"db", {{"vda", kSize, std::nullopt}}};
      auto sink = writer->begin(plan);
      copy_disks(plan, sources, *sink, {});
      sink->commit({});
    }
    store = StoreReader::open(base::real_file_system(), path);
    return store->open_disk(store->find_point("db@latest"), "vda");
  }
};

base::Bytes read(DiskSource& disk, uint64_t offset, uint64_t length) {
  base::Bytes bytes(length, 0xee);
  disk.read(offset, bytes);
  return bytes;
}

// Empty if the extents of the range are what they must be, else what is wrong.
std::string wrong_extents(DiskSource& disk, const base::Bytes& content, uint64_t offset,
                          uint64_t length) {
  uint64_t next = offset;
  for (const Extent& extent : disk.extents(offset, length)) {
    if (extent.offset != next) return "a gap, or an overlap";
    if (extent.length == 0) return "an empty extent";
    next += extent.length;
    if (next > offset + length) return "more than was asked for";
    if (extent.kind == ExtentKind::unchanged) return "unchanged, without tracking";
    auto part = base::ByteView(content).subspan(extent.offset, extent.length);
    if (extent.kind == ExtentKind::zero && !base::is_all_zero(part)) return "data called zero";
  }
  return next == offset + length ? "" : "less than was asked for";
}

}  // namespace

TEST_CASE("every disk source keeps the contract", "[nbd]") {
  const std::string name = GENERATE(
      std::string("raw file"), std::string("image behind NBD"), std::string("disk of a point"),
      std::string("disk of a point over the wire"), std::string("chain of VHD"),
      std::string("chain of VHDX"), std::string("archive of Proxmox"));
  CAPTURE(name);
  Candidate candidate(name);
  DiskSource& disk = *candidate.disk;
  const base::Bytes& content = candidate.content;
  REQUIRE(disk.size() == kSize);

  SECTION("it reads as its content, wherever and however much") {
    CHECK(read(disk, 0, kSize) == content);
    std::mt19937 random(5);
    for (int i = 0; i < 200; ++i) {
      uint64_t offset = random() % kSize;
      uint64_t length = std::min<uint64_t>(random() % 200'000 + 1, kSize - offset);
      base::Bytes expected(content.begin() + static_cast<ptrdiff_t>(offset),
                           content.begin() + static_cast<ptrdiff_t>(offset + length));
      if (read(disk, offset, length) != expected) FAIL("at " << offset << ", " << length);
    }
    CHECK(read(disk, kSize - 1, 1) == base::Bytes{0x5a});
  }

  SECTION("extents cover what was asked for, and zeros are zeros") {
    CHECK(wrong_extents(disk, content, 0, kSize).empty());
    for (uint64_t offset = 0; offset < kSize; offset += 300 * 512)
      CHECK(wrong_extents(disk, content, offset, std::min<uint64_t>(300 * 512, kSize - offset)) ==
            "");
    CHECK(wrong_extents(disk, content, kSize - 512, 512).empty());
    uint64_t zeros = 0;
    for (const Extent& extent : disk.extents(0, kSize))
      zeros += extent.kind == ExtentKind::zero ? extent.length : 0;
    CHECK(zeros > 0);  // it is worth asking
  }

  SECTION("several threads read at once, while one asks for extents") {
    std::atomic<int> wrong = 0;
    {
      std::vector<std::jthread> threads;
      for (uint32_t seed = 0; seed < 4; ++seed) {
        threads.emplace_back([&, seed] {
          std::mt19937 random(seed);
          for (int i = 0; i < 50; ++i) {
            uint64_t offset = random() % (kSize - 100'000);
            base::Bytes bytes(100'000);
            disk.read(offset, bytes);
            if (!std::equal(bytes.begin(), bytes.end(),
                            content.begin() + static_cast<ptrdiff_t>(offset)))
              ++wrong;
          }
        });
      }
      threads.emplace_back([&] {
        for (int i = 0; i < 20; ++i)
          wrong += wrong_extents(disk, content, 0, kSize).empty() ? 0 : 1;
      });
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("a disk reader says which point's disk it is, and answers many at once") {
  Candidate candidate(
      GENERATE(std::string("disk of a point"), std::string("disk of a point over the wire")));
  auto& disk = dynamic_cast<DiskReader&>(*candidate.disk);
  CHECK(disk.disk().name == "vda");
  CHECK(disk.disk().size == kSize);
  for (const Extent& extent : disk.extents(0, kSize)) {
    CHECK(extent.offset % kChunk == 0);
    CHECK((extent.length % kChunk == 0 || extent.offset + extent.length == kSize));
  }
  // Its ids name what it holds, in any window.
  const ChunkHasher& hasher = disk.hasher();
  const uint64_t size = hasher.chunk_size(), count = (kSize + size - 1) / size;
  std::vector<ChunkId> ids = disk.chunk_ids(0, count);
  REQUIRE(ids.size() == count);
  for (uint64_t chunk = 0; chunk < count; ++chunk) {
    base::Bytes plain(size);
    std::copy_n(candidate.content.begin() + static_cast<ptrdiff_t>(chunk * size),
                std::min(size, kSize - chunk * size), plain.begin());
    CHECK(ids[chunk] == (base::is_all_zero(plain) ? ChunkId{} : hasher.id_of(plain)));
    CHECK(disk.chunk_ids(chunk, 1) == std::vector<ChunkId>{ids[chunk]});
  }
  CHECK(disk.chunk_ids(count, 0).empty());
  if (count > 3) {
    CHECK(disk.chunk_ids(1, count - 2) == std::vector<ChunkId>(ids.begin() + 1, ids.end() - 1));
  }
  disk.prefetch(0);
  disk.prefetch(kSize - 1);
  // Its chunks travel as they are stored.
  base::Bytes buffer;
  for (uint64_t chunk = 0; chunk < count; ++chunk) {
    base::Bytes plain(size), decoded(size);
    std::copy_n(candidate.content.begin() + static_cast<ptrdiff_t>(chunk * size),
                std::min(size, kSize - chunk * size), plain.begin());
    EncodedChunk encoded = disk.encoded_chunk(chunk, buffer);
    REQUIRE(encoded.bytes.empty() == base::is_all_zero(plain));
    if (!encoded.bytes.empty()) decode_chunk(encoded.codec, encoded.bytes, decoded);
    CHECK(decoded == plain);
  }
  std::atomic<int> wrong = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int round = 0; round < 20; ++round)
          wrong += wrong_extents(disk, candidate.content, 0, kSize).empty() ? 0 : 1;
      });
    }
  }
  CHECK(wrong == 0);
  // As long as it is open, its point cannot be deleted.
  auto writer = StoreWriter::open(base::real_file_system(), candidate.scratch.path() + "/store");
  PointId id = candidate.store->find_point("db@latest");
  CHECK_THROWS(writer->delete_point(id));
  candidate.disk.reset();
  if (candidate.serving) candidate.serving->ending();
  CHECK_NOTHROW(writer->delete_point(id));
}

}  // namespace images
