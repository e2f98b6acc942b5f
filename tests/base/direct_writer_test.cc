#include "base/direct_writer.h"

#include <fcntl.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

#include "base/file_system.h"
#include "base/scratch_directory.h"

namespace {

base::Bytes noise(size_t size, std::mt19937_64& random) {
  base::Bytes bytes(size);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  return bytes;
}

}  // namespace

TEST_CASE("direct writes of any size at any place leave the same file as a plain copy") {
  std::mt19937_64 random(Catch::rngSeed());
  base::ScratchDirectory scratch("/tmp", "direct-writer");
  std::string path = base::join_path(scratch.path(), "file");
  base::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  REQUIRE(fd);
  base::DirectWriter writer(fd.get());
  base::Bytes model;
  for (int round = 0; round < 40; ++round) {
    base::Bytes bytes = noise(random() % (3u << 20), random);
    uint64_t offset = random() % (4u << 20);
    if (round % 3 == 0) offset -= offset % base::kDirectBlockSize;
    writer.write_at(offset, bytes);
    model.resize(std::max<size_t>(model.size(), offset + bytes.size()));
    std::copy(bytes.begin(), bytes.end(), model.begin() + static_cast<ptrdiff_t>(offset));
    // Read back at once: what was written directly is seen through the cache.
    REQUIRE(base::read_file(base::real_file_system(), path, 1u << 30) == model);
  }
}

TEST_CASE("a direct write to a disk without room says so") {
  base::UniqueFd fd(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  REQUIRE(fd);
  base::DirectWriter writer(fd.get());
  base::Bytes bytes(1u << 20);
  REQUIRE_THROWS_WITH(writer.write_at(0, bytes), Catch::Contains("No space left"));
}

TEST_CASE("a buffer of blocks gives back what it was given, its whole blocks on blocks of memory") {
  std::mt19937_64 random(Catch::rngSeed());
  base::BlockBuffer buffer(64u << 10);
  for (uint64_t offset : {uint64_t{0}, uint64_t{1}, uint64_t{4095}, uint64_t{4096 + 17}}) {
    buffer.restart(offset);
    CHECK(buffer.whole_blocks().empty());
    base::Bytes model;
    while (buffer.has_room(3000)) {
      base::Bytes bytes = noise(random() % 3000, random);
      buffer.append(bytes);
      model.insert(model.end(), bytes.begin(), bytes.end());
      base::ByteView blocks = buffer.whole_blocks();
      REQUIRE(std::equal(blocks.begin(), blocks.end(), model.begin()));
      REQUIRE(buffer.size() - blocks.size() < 2 * base::kDirectBlockSize);
      if (blocks.empty()) continue;
      REQUIRE((offset + blocks.size()) % base::kDirectBlockSize == 0);
      REQUIRE(reinterpret_cast<uintptr_t>(blocks.data()) % base::kDirectBlockSize ==
              offset % base::kDirectBlockSize);
    }
    REQUIRE(model.size() >= (60u << 10));
    base::ByteView all = buffer.bytes();
    CHECK(std::equal(all.begin(), all.end(), model.begin(), model.end()));
  }
}
