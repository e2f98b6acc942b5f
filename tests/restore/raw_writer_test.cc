#include "restore/raw_writer.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <random>

#include "base/error.h"
#include "base/unique_fd.h"
#include "tests/restore/model_disk.h"

namespace restore {
namespace {

constexpr uint64_t kChunk = kModelChunk;

base::UniqueFd target(uint64_t size, uint8_t filling) {
  base::UniqueFd fd(::memfd_create("target", MFD_CLOEXEC));
  base::Bytes bytes(filling == 0 ? 0 : size, filling);
  REQUIRE(::write(fd.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  REQUIRE(::ftruncate(fd.get(), static_cast<off_t>(size)) == 0);
  return fd;
}

base::Bytes content_of(int fd, uint64_t size) {
  base::Bytes bytes(size);
  REQUIRE(::pread(fd, bytes.data(), size, 0) == static_cast<ssize_t>(size));
  return bytes;
}

}  // namespace

TEST_CASE("a raw restore is the disk, byte for byte", "[restore]") {
  uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  for (uint64_t size : {uint64_t{512}, kChunk, kChunk * 200 + 1536}) {
    ModelDisk disk(size, seed);
    for (uint32_t threads : {1u, 2u, 5u}) {
      base::UniqueFd fresh = target(size, 0);
      RestoreProgress last;
      RawOptions options;
      options.thread_count = threads;
      options.on_progress = [&](const RestoreProgress& progress) { last = progress; };
      RestoreProgress result = write_raw(disk, fresh.get(), options);
      CHECK(content_of(fresh.get(), size) == disk.content());
      CHECK(last.bytes_done == size);
      CHECK(result.bytes_written <= size);

      base::UniqueFd old = target(size, 0xee);
      options.zeros = ZeroHandling::write;
      write_raw(disk, old.get(), options);
      CHECK(content_of(old.get(), size) == disk.content());
    }
  }
}

TEST_CASE("a raw restore ends with the first error", "[restore]") {
  ModelDisk disk(kChunk * 300, 1);
  base::UniqueFd fd = target(disk.size(), 0);
  disk.fail_at = 0;
  while (disk.content()[disk.fail_at] == 0) disk.fail_at += 512;
  CHECK_THROWS_WITH(write_raw(disk, fd.get(), {}), "damaged");
  std::stop_source source;
  source.request_stop();
  RawOptions options;
  options.stop = source.get_token();
  CHECK_THROWS_WITH(write_raw(disk, fd.get(), options), "interrupted");
}

}  // namespace restore
