#include "images/sources/nbd_disk_source.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <thread>

#include "base/error.h"
#include "base/scratch_directory.h"
#include "base/subprocess.h"
#include "images/sources/image_file_source.h"

namespace images {
namespace {

constexpr uint64_t kMiB = 1u << 20;

std::string kinds(const std::vector<Extent>& extents) {
  std::string out;
  uint64_t offset = extents.empty() ? 0 : extents.front().offset;
  for (const Extent& extent : extents) {
    REQUIRE(extent.offset == offset);
    offset += extent.length;
    char kind = extent.kind == ExtentKind::data ? 'd' : extent.kind == ExtentKind::zero ? 'z' : '-';
    out += std::to_string(extent.length / 65536) + kind + ' ';
  }
  return out;
}

// A qcow2 image of 8 MiB with data at 1 MiB and from 4 MiB, then a bitmap, then changes: data at 2
// MiB, few zeros at 4 MiB, many at 5 MiB, with data after them.
std::string image_with_bitmap(const base::ScratchDirectory& scratch) {
  std::string path = scratch.path() + "/a,b:c.qcow2";
  auto io = [&](const std::string& command) {
    base::run_checked({"qemu-io", "-f", "qcow2", "-c", command, path});
  };
  base::run_checked({"qemu-img", "create", "-q", "-f", "qcow2", path, "8M"});
  io("write -P 1 1M 1M");
  io("write -P 1 4M 3M");
  base::run_checked({"qemu-img", "bitmap", "--add", path, "changes"});
  io("write -P 2 2M 192k");
  io("write -z 4M 128k");
  io("write -z 5M 1M");
  io("write -P 3 6M 64k");
  return path;
}

TEST_CASE("an NBD disk tells data, zeros and what did not change") {
  base::ScratchDirectory scratch("/tmp", "muletto-scratch-test");
  std::string path = image_with_bitmap(scratch);

  ImageSource all =
      open_image_source(path, {.format = "qcow2", .runtime_directory = scratch.path()});
  REQUIRE(all.disk->size() == 8 * kMiB);
  CHECK(kinds(all.disk->extents(0, 8 * kMiB)) == "16z 19d 31z 14d 16z 16d 16z ");

  ImageOptions options{
      .format = "qcow2", .runtime_directory = scratch.path(), .dirty_bitmap = "changes"};
  ImageSource changed = open_image_source(path, options);
  CHECK(kinds(changed.disk->extents(0, 8 * kMiB)) == "32- 3d 29- 2d 14- 16z 1d 31- ");
  CHECK(kinds(changed.disk->extents(2 * kMiB + 65536, 65536)) == "1d ");
}

TEST_CASE("an NBD disk reads in parallel") {
  base::ScratchDirectory scratch("/tmp", "muletto-scratch-test");
  std::string path = image_with_bitmap(scratch);
  ImageSource image = open_image_source(
      path, {.format = "qcow2", .runtime_directory = scratch.path(), .connection_count = 3});
  std::vector<std::jthread> readers;
  std::atomic<int> wrong = 0;
  for (int i = 0; i < 8; ++i) {
    readers.emplace_back([&] {
      for (int round = 0; round < 50; ++round) {
        base::Bytes bytes(3 * kMiB);
        image.disk->read(kMiB, bytes);
        if (bytes[0] != 1 || bytes[kMiB] != 2 || bytes[2 * kMiB] != 0) wrong += 1;
      }
    });
  }
  readers.clear();
  CHECK(wrong == 0);
}

TEST_CASE("an NBD disk without the bitmap or without a server is refused") {
  base::ScratchDirectory scratch("/tmp", "muletto-scratch-test");
  std::string path = image_with_bitmap(scratch);
  CHECK_THROWS_AS(
      open_image_source(
          path, {.format = "qcow2", .runtime_directory = scratch.path(), .dirty_bitmap = "x"}),
      base::Error);
  NbdOptions nobody;
  nobody.socket_path = scratch.path() + "/nobody.sock";
  try {
    NbdDiskSource source(nobody);
    FAIL("connected to nobody");
  } catch (const base::Error& error) {
    CHECK(error.code() == base::ErrorCode::unavailable);
  }
}

TEST_CASE("a dying server is an error, not a hang") {
  base::ScratchDirectory scratch("/tmp", "muletto-scratch-test");
  std::string path = image_with_bitmap(scratch);
  std::string socket = scratch.path() + "/nbd.sock";
  base::Subprocess server({"qemu-nbd", "-r", "-t", "-f", "qcow2", "-k", socket, path});
  NbdOptions options;
  options.socket_path = socket;
  std::unique_ptr<NbdDiskSource> source;
  for (int i = 0; i < 200 && !source; ++i) {
    try {
      source = std::make_unique<NbdDiskSource>(options);
    } catch (const base::Error&) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  REQUIRE(source);
  base::Bytes bytes(4096);
  source->read(0, bytes);
  server.signal(SIGKILL);
  server.wait_for(std::chrono::seconds(5));
  CHECK_THROWS_AS(source->read(0, bytes), base::Error);
  CHECK_THROWS_AS(source->extents(0, 4096), base::Error);
}

}  // namespace
}  // namespace images
