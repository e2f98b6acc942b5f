#include "images/sources/image_file_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/scratch_directory.h"
#include "base/subprocess.h"
#include "base/text.h"
#include "images/sources/raw_disk_source.h"

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
    ImageSource image =
        open_image_source(path, {.format = format, .runtime_directory = scratch.path()});
    CHECK(image.format == format);
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

// What opening `path` is refused with.
std::string refusal(const std::string& path, const ImageOptions& options,
                    base::ErrorCode expected = base::ErrorCode::invalid_argument) {
  try {
    open_image_source(path, options);
  } catch (const base::Error& error) {
    CHECK(error.code() == expected);
    return error.message();
  }
  FAIL("opened " << path);
  return "";
}

bool says(const std::string& message, const std::string& words) {
  INFO(message);
  return message.find(words) != std::string::npos;
}

std::string write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

std::string descriptor(const std::string& extent, const std::string& more = "") {
  return "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n"
         "createType=\"monolithicFlat\"\n" +
         more + "RW 2048 FLAT \"" + extent + "\" 0\n";
}

uint8_t first_byte(const ImageSource& image) {
  base::Bytes bytes(512);
  image.disk->read(0, bytes);
  return bytes[0];
}

TEST_CASE("a format is told, or it is raw: a content that looks like another is asked about") {
  base::ScratchDirectory scratch("/tmp", "muletto-scratch-test");
  std::string path = write_text(scratch.path() + "/disk.img", descriptor("/etc/shadow"));
  std::filesystem::resize_file(path, kMiB);
  std::string message = refusal(path, {.runtime_directory = scratch.path()});
  CHECK(says(message, "--format vmdk or --format raw"));
  ImageSource raw = open_image_source(path, {.format = "raw", .runtime_directory = scratch.path()});
  CHECK(raw.disk->size() == kMiB);
  CHECK(first_byte(raw) == '#');
  for (const char* format : {"qcow2", "vdi", "vhdx", "vpc", "qcow", "qed", "parallels"}) {
    std::string image = scratch.path() + "/image." + format;
    base::run_checked({"qemu-img", "create", "-q", "-f", format, image, "4M"});
    CHECK(says(refusal(image, {.runtime_directory = scratch.path()}),
               std::string("--format ") + format));
  }
  std::string fixed = scratch.path() + "/fixed.vhd";
  base::run_checked(
      {"qemu-img", "create", "-q", "-f", "vpc", "-o", "subformat=fixed", fixed, "4M"});
  CHECK(says(refusal(fixed, {.runtime_directory = scratch.path()}), "--format vpc"));
}

TEST_CASE("an image leads only to files of its own folder, and to those that are allowed") {
  base::ScratchDirectory scratch("/tmp", "muletto-scratch-test");
  std::string folder = scratch.path() + "/images", outside = scratch.path() + "/outside.raw";
  std::filesystem::create_directories(folder + "/.hidden");
  sparse_file(outside, kMiB);
  std::filesystem::copy_file(outside, folder + "/base.raw");
  std::filesystem::copy_file(outside, folder + "/.hidden/base.raw");
  std::filesystem::create_symlink(outside, folder + "/link.raw");
  auto overlay = [&](const std::string& base) {
    std::string path = folder + "/overlay.qcow2";
    base::run_checked(
        {"qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b", base, path, "4M"});
    return path;
  };
  auto flat = [&](const std::string& extent) {
    return write_text(folder + "/flat.vmdk", descriptor(extent));
  };
  ImageOptions qcow2{.format = "qcow2", .runtime_directory = scratch.path()};
  ImageOptions vmdk{.format = "vmdk", .runtime_directory = scratch.path()};
  CHECK(first_byte(open_image_source(overlay("base.raw"), qcow2)) == 'a');
  CHECK(first_byte(open_image_source(flat("base.raw"), vmdk)) == 'a');
  for (const std::string& name :
       {outside, std::string("../outside.raw"), std::string("link.raw"),
        std::string(".hidden/base.raw"), std::string("/etc/shadow"), std::string("/dev/null")}) {
    INFO(name);
    CHECK(says(refusal(overlay(name), qcow2), name));
    CHECK(says(refusal(flat(name), vmdk), name));
  }
  for (const char* name : {"json:{\"driver\":\"file\"}", "nbd://127.0.0.1:1/x", "file:base.raw"}) {
    CHECK(says(refusal(overlay(name), qcow2), "not the name of a file"));
    CHECK(says(refusal(flat("nbd://127.0.0.1:1/x"), vmdk), "not the name of a file"));
  }
  qcow2.allowed = vmdk.allowed = {outside};
  CHECK(first_byte(open_image_source(overlay(outside), qcow2)) == 'a');
  CHECK(first_byte(open_image_source(flat("../outside.raw"), vmdk)) == 'a');
  CHECK(says(refusal(flat("/etc/shadow"), vmdk), "/etc/shadow"));
  CHECK(leftover_count(scratch.path()) == 0);
}

TEST_CASE("parents, data files and bases without a format are looked at, too") {
  base::ScratchDirectory scratch("/tmp", "muletto-scratch-test");
  std::string folder = scratch.path() + "/images";
  std::filesystem::create_directories(folder);
  ImageOptions qcow2{.format = "qcow2", .runtime_directory = scratch.path()};
  std::string data = scratch.path() + "/data.raw", split = folder + "/split.qcow2";
  base::run_checked({"qemu-img", "create", "-q", "-f", "qcow2", "-o",
                     "data_file=" + data + ",data_file_raw=on", split, "4M"});
  CHECK(says(refusal(split, qcow2), data));
  qcow2.allowed = {data};
  CHECK(open_image_source(split, qcow2).disk->size() == 4 * kMiB);
  std::string child =
      write_text(folder + "/child.vmdk", descriptor("x", "parentFileNameHint=\"/etc/shadow\"\n"));
  sparse_file(folder + "/x", kMiB);
  CHECK(says(refusal(child, {.format = "vmdk", .runtime_directory = scratch.path()}), "shadow"));
  // An image made before QEMU wrote the format down.
  std::string old = folder + "/old.qcow2";
  base::run_checked({"qemu-img", "create", "-q", "-f", "qcow2", old, "4M"});
  std::fstream file(old, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(8);
  file.write("\0\0\0\0\0\0\2\0\0\0\0\1", 12);
  file.seekp(512);
  file.write("x", 1);
  file.close();
  CHECK(says(refusal(old, qcow2), "does not state that file's format"));
  std::string loop = folder + "/loop.qcow2";
  base::run_checked({"qemu-img", "create", "-q", "-f", "qcow2", loop, "4M"});
  base::run_checked({"qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", loop, loop});
  CHECK(says(refusal(loop, qcow2), "twice"));
}

TEST_CASE("a VHD that is differencing by one of its headers alone is refused") {
  base::ScratchDirectory scratch("/tmp", "muletto-scratch-test");
  std::string path = scratch.path() + "/child.vhd";
  base::run_checked({"qemu-img", "create", "-q", "-f", "vpc", path, "4M"});
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(60);
  file.write("\0\0\0\4", 4);
  file.seekp(512 + 64);
  for (char c : std::string("base.vhd")) file << '\0' << c;
  file.close();
  std::string message = refusal(path, {.format = "vpc", .runtime_directory = scratch.path()},
                                base::ErrorCode::corrupt);
  CHECK(says(message, "child.vhd"));
  CHECK(says(message, "damaged"));
}

TEST_CASE("the program that reads an image sees nothing but the image") {
  base::ScratchDirectory scratch("/tmp", "muletto-scratch-test");
  std::string path = write_text(scratch.path() + "/seen", "seen");
  base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::filesystem::permissions(path, std::filesystem::perms::none);
  base::FileJail jail({{fd.get(), path}});
  auto run = [&](const std::string& script) {
    return base::run_command({"sh", "-c", script, "sh", path}, std::chrono::seconds(20), &jail);
  };
  CHECK(run("cat $1").output == "seen");
  CHECK(base::trim(run("echo $(ls /) $(ls $(dirname $1))").output).find("etc") ==
        std::string::npos);
  CHECK(run("ls /etc /proc /root " + scratch.path() + "/../../home").status != 0);
  for (const char* attempt :
       {"echo x >> $1", "echo x > /new", "kill -0 " /* our process */, "chmod 777 $1",
        "rm -f $1 &&"
        " exit 0; ! test -e $1"}) {
    std::string script = attempt;
    if (script.starts_with("kill")) script += std::to_string(::getpid());
    INFO(script);
    CHECK(run(script).status != 0);
  }
  if (::geteuid() == 0) CHECK(base::trim(run("id -u").output).size() == 10);  // 0x70000000 and more
  CHECK(says(run("cat /etc/shadow").errors, "No such file"));
}

TEST_CASE("the format of each disk comes from words like a command line's") {
  using Map = std::map<std::string, std::string>;
  CHECK(formats_of_disks({}, {"vda"}) == Map{{"vda", ""}});
  CHECK(formats_of_disks({"qcow2"}, {"vda", "vdb"}) == Map{{"vda", "qcow2"}, {"vdb", "qcow2"}});
  CHECK(formats_of_disks({"vdb=raw", "vmdk"}, {"vda", "vdb"}) ==
        Map{{"vda", "vmdk"}, {"vdb", "raw"}});
  CHECK_THROWS_AS(formats_of_disks({"vdc=raw"}, {"vda"}), base::Error);
  CHECK_THROWS_AS(formats_of_disks({"vda=raw", "vda=qcow2"}, {"vda"}), base::Error);
  CHECK_THROWS_AS(formats_of_disks({"vda="}, {"vda"}), base::Error);
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
