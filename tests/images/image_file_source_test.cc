#include "images/image_file_source.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/scratch_directory.h"
#include "base/subprocess.h"
#include "images/raw_disk_source.h"

namespace images {
namespace {

constexpr uint64_t kMiB = 1u << 20;

// A sparse file: 1 MiB of 'a', a hole, and a last piece of `tail` bytes at 3 MiB.
std::string sparse_file(const std::string& path, uint64_t tail) {
  std::ofstream file(path, std::ios::binary);
  file << std::string(kMiB, 'a');
  file.seekp(3 * kMiB);
  file << std::string(tail, 'b');
  return path;
}

base::ErrorCode failure(const std::string& path, const ImageOptions& options = {}) {
  try {
    open_image_source(path, options);
  } catch (const base::Error& error) {
    INFO(error.message());
    CHECK(error.message().find(std::filesystem::path(path).filename().string()) !=
          std::string::npos);
    return error.code();
  }
  FAIL("opened " << path);
  return {};
}

size_t leftover_count(const std::string& directory) {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    count += entry.path().filename().string().starts_with("muletto-image-");
  }
  return count;
}

TEST_CASE("qcow2 images are read whatever their cluster size") {
  base::ScratchDirectory scratch("/tmp", "muletto-scratch-test");
  for (const char* size : {"512", "4k", "64k", "2M"}) {
    INFO("clusters of " << size);
    std::string path = scratch.path() + "/" + size + ".qcow2";
    base::run_checked({"qemu-img", "create", "-q", "-f", "qcow2", "-o",
                       std::string("cluster_size=") + size, path, "16M"});
    base::run_checked({"qemu-io", "-f", "qcow2", "-c", "write -P 7 9M 64k", path});
    ImageSource image =
        open_image_source(path, {.format = "qcow2", .runtime_directory = scratch.path()});
    base::Bytes bytes(65536);
    image.disk->read(9u << 20, bytes);
    CHECK(std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == 7; }));
  }
}

TEST_CASE("a raw file is read directly, with its holes and its odd end") {
  base::ScratchDirectory scratch("/tmp", "muletto-scratch-test");
  RawDiskSource source(sparse_file(scratch.path() + "/raw", 1000));
  REQUIRE(source.size() == 3 * kMiB + 1024);
  std::vector<Extent> extents = source.extents(0, source.size());
  REQUIRE(extents.size() == 4);
  CHECK(extents[0].kind == ExtentKind::data);
  CHECK(extents[1].kind == ExtentKind::zero);
  CHECK(extents[1].length == 2 * kMiB);
  CHECK(extents[2].kind == ExtentKind::data);
  CHECK(extents[3].kind == ExtentKind::zero);  // the filling to a whole sector
  base::Bytes bytes(2048);
  source.read(3 * kMiB - 1024, bytes);
  CHECK(bytes[1023] == 0);
  CHECK(bytes[1024] == 'b');
  CHECK(bytes[2023] == 'b');
  CHECK(bytes[2024] == 0);
}

TEST_CASE("every format QEMU knows is read alike") {
  base::ScratchDirectory scratch("/tmp", "muletto-scratch-test");
  std::string raw = sparse_file(scratch.path() + "/raw", kMiB);
  RawDiskSource truth(raw);
  base::Bytes expected(truth.size()), found(truth.size());
  truth.read(0, expected);
  for (const char* format : {"raw", "qcow2", "vmdk", "vdi", "vhdx"}) {
    INFO(format);
    std::string path = scratch.path() + "/image." + format;
    base::run_checked({"qemu-img", "convert", "-f", "raw", "-O", format, raw, path});
    ImageSource image = open_image_source(path, {.runtime_directory = scratch.path()});
    CHECK(image.format == format);
    CHECK(image.detected);
    REQUIRE(image.disk->size() == truth.size());
    image.disk->read(0, found);
    CHECK(found == expected);
    // VHDX allocates in blocks larger than this hole.
    if (image.format != "vhdx")
      CHECK(image.disk->extents(kMiB, 2 * kMiB).front().kind == ExtentKind::zero);
  }
  CHECK(leftover_count(scratch.path()) == 0);
}

TEST_CASE("what cannot be read is refused with a reason") {
  base::ScratchDirectory scratch("/tmp", "muletto-scratch-test");
  ImageOptions here{.runtime_directory = scratch.path()};
  CHECK(failure(scratch.path() + "/missing.qcow2", here) == base::ErrorCode::not_found);
  CHECK(failure(scratch.path(), here) == base::ErrorCode::invalid_argument);
  std::string raw = sparse_file(scratch.path() + "/raw", kMiB);
  CHECK(failure(raw, {.format = "qcow2", .runtime_directory = scratch.path()}) ==
        base::ErrorCode::unsupported);
  CHECK(failure(raw, {.format = "bogus", .runtime_directory = scratch.path()}) ==
        base::ErrorCode::unsupported);
  CHECK(leftover_count(scratch.path()) == 0);
}

TEST_CASE("a detected image does not lead to other files") {
  base::ScratchDirectory scratch("/tmp", "muletto-scratch-test");
  std::string raw = sparse_file(scratch.path() + "/raw", kMiB);
  std::string path = scratch.path() + "/overlay.qcow2";
  base::run_checked({"qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", raw, path});
  CHECK(failure(path, {.runtime_directory = scratch.path()}) == base::ErrorCode::invalid_argument);
  ImageSource told =
      open_image_source(path, {.format = "qcow2", .runtime_directory = scratch.path()});
  base::Bytes bytes(512);
  told.disk->read(0, bytes);
  CHECK(bytes[0] == 'a');
}

TEST_CASE("an image somebody writes to is refused") {
  base::ScratchDirectory scratch("/tmp", "muletto-scratch-test");
  for (std::string format : {"raw", "qcow2"}) {
    INFO(format);
    std::string path = scratch.path() + "/image." + format,
                socket = scratch.path() + "/" + format + ".sock";
    base::run_checked({"qemu-img", "create", "-q", "-f", format, path, "4M"});
    base::Subprocess writer({"qemu-nbd", "-t", "-f", format, "-k", socket, path});
    while (!std::filesystem::exists(socket))
      REQUIRE(!writer.wait_for(std::chrono::milliseconds(5)));
    // The socket is there before the image is open; an answer comes only after.
    base::run_checked({"qemu-img", "info", "-f", "raw", "nbd+unix:///?socket=" + socket});
    CHECK(failure(path, {.format = format, .runtime_directory = scratch.path()}) ==
          base::ErrorCode::busy);
    ImageSource shared = open_image_source(
        path, {.format = format, .runtime_directory = scratch.path(), .share_with_writers = true});
    CHECK(shared.disk->size() == 4 * kMiB);
  }
}

TEST_CASE("folders of killed owners are removed, those of living ones are not") {
  base::ScratchDirectory scratch("/tmp", "muletto-scratch-test");
  std::string abandoned = scratch.path() + "/x-abcdef";
  std::filesystem::create_directories(abandoned + "/deep");
  base::ScratchDirectory living(scratch.path(), "x");
  CHECK(!std::filesystem::exists(abandoned));
  base::ScratchDirectory other(scratch.path(), "x");
  CHECK(std::filesystem::exists(living.path()));
  struct stat status;
  REQUIRE(::stat(living.path().c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0700);
}

}  // namespace
}  // namespace images
