#include "restore/engine/disk_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <random>
#include <thread>

#include "base/file_system.h"
#include "base/scratch_directory.h"
#include "base/unique_fd.h"
#include "tests/restore/model_disk.h"

namespace restore {
namespace {

class TargetFile {
 public:
  explicit TargetFile(const base::Bytes& content) : scratch_("/var/tmp", "disk-writer") {
    path = scratch_.path() + "/disk.img";
    write(content);
  }
  void write(const base::Bytes& content) const {
    base::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
    REQUIRE(::pwrite(fd.get(), content.data(), content.size(), 0) ==
            static_cast<ssize_t>(content.size()));
  }
  base::Bytes content() const {
    base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    base::Bytes bytes(static_cast<size_t>(status().st_size));
    REQUIRE(::pread(fd.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    return bytes;
  }
  struct stat status() const {
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return status;
  }
  std::string path;

 private:
  base::ScratchDirectory scratch_;
};

WriteResult run(ModelDisk& disk, const TargetFile& file, const WriteOptions& options = {}) {
  Target target = Target::open(file.path);
  target.resize(std::max(target.size(), disk.size()));
  return write_differences(disk, target, options);
}

// Changes some chunks of `old`: to other data, to zeros, from zeros to data. Returns the bytes of
// chunks that differ.
uint64_t change(base::Bytes& old, const base::Bytes& wanted, std::mt19937_64& random) {
  uint64_t differing = 0;
  for (uint64_t at = 0; at < old.size(); at += kModelChunk) {
    uint64_t length = std::min<uint64_t>(kModelChunk, old.size() - at);
    base::MutableByteView chunk = base::MutableByteView(old).subspan(at, length);
    switch (random() % 8) {
      case 0: chunk[random() % length] ^= 1; break;
      case 1: std::fill(chunk.begin(), chunk.end(), uint8_t{0}); break;
      case 2: std::fill(chunk.begin(), chunk.end(), uint8_t{0xee}); break;
      default: break;
    }
    if (!std::equal(chunk.begin(), chunk.end(), wanted.begin() + static_cast<ptrdiff_t>(at)))
      differing += length;
  }
  return differing;
}

}  // namespace

TEST_CASE("only what differs is written, and all of it", "[restore]") {
  uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (uint64_t size : {uint64_t{512}, kModelChunk, kModelChunk * 300 + 1536}) {
    for (uint32_t threads : {1u, 4u}) {
      for (Verify verify : {Verify::none, Verify::written, Verify::all}) {
        ModelDisk disk(size, seed);
        base::Bytes old = disk.content();
        uint64_t differing = change(old, disk.content(), random);
        TargetFile file(old);
        WriteOptions options;
        options.thread_count = threads;
        options.verify = verify;
        options.survey = true;
        CHECK(run(disk, file, options).bytes_differing == differing);
        CHECK(file.content() == old);
        CHECK(disk.read_size == 0);

        options.survey = false;
        WriteProgress last;
        options.on_progress = [&](const WriteProgress& progress) { last = progress; };
        WriteResult result = run(disk, file, options);
        CHECK(file.content() == disk.content());
        CHECK(result.bytes_total == size);
        CHECK(result.bytes_differing == differing);
        CHECK(result.bytes_written == differing);
        CHECK(result.bytes_fetched == disk.read_size);
        CHECK(result.bytes_fetched <= differing);
        CHECK(last.bytes_compared == size);
        uint64_t verified = verify == Verify::all ? size : verify == Verify::none ? 0 : differing;
        CHECK(result.bytes_verified == verified);
        CHECK(run(disk, file, options).bytes_differing == 0);
      }
    }
  }
}

TEST_CASE("a new file is the disk, byte for byte, with its holes", "[restore]") {
  uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  base::ScratchDirectory scratch("/var/tmp", "disk-writer");
  for (uint64_t size : {uint64_t{512}, kModelChunk, kModelChunk * 200 + 1536}) {
    ModelDisk disk(size, seed);
    for (uint32_t threads : {1u, 2u, 5u}) {
      std::string path = scratch.path() + "/new";
      Target target = Target::create(path);
      target.resize(size);
      disk.read_size = 0;
      WriteProgress last;
      WriteOptions options;
      options.thread_count = threads;
      options.verify = Verify::none;
      options.on_progress = [&](const WriteProgress& progress) { last = progress; };
      WriteResult result = write_differences(disk, target, options);
      base::Bytes written(size);
      target.read(0, written);
      CHECK(written == disk.content());
      CHECK(last.bytes_compared == size);
      CHECK(result.bytes_written == disk.read_size);
      struct stat status {};
      REQUIRE(::fstat(target.fd(), &status) == 0);
      CHECK(static_cast<uint64_t>(status.st_blocks) * 512 <= result.bytes_written + 131072);
      ::unlink(path.c_str());
    }
  }
}

TEST_CASE("an interrupted restore resumes by comparing", "[restore]") {
  ModelDisk disk(kModelChunk * 256, 7);
  TargetFile file(base::Bytes(disk.size(), 0xee));
  disk.fail_at = disk.size() - 1;
  while (disk.content()[disk.fail_at] == 0) --disk.fail_at;
  WriteOptions options;
  options.thread_count = 1;
  CHECK_THROWS_WITH(run(disk, file, options), "damaged");
  disk.fail_at = ~0ull;
  disk.read_size = 0;
  WriteResult result = run(disk, file, options);
  CHECK(file.content() == disk.content());
  CHECK(result.bytes_written <= 5u << 20);  // what the last window had left
  CHECK(disk.read_size <= 5u << 20);

  std::stop_source source;
  source.request_stop();
  options.stop = source.get_token();
  CHECK_THROWS_WITH(run(disk, file, options), "interrupted");
}

TEST_CASE("zeros become holes, and what lies after the disk stays", "[restore]") {
  ModelDisk disk(kModelChunk * 64, 3);
  std::fill(disk.content().begin(), disk.content().end(), uint8_t{0});
  TargetFile file(base::Bytes(disk.size() + 12345, 0xee));
  run(disk, file);
  base::Bytes now = file.content();
  REQUIRE(now.size() == disk.size() + 12345);
  CHECK(base::is_all_zero(base::ByteView(now).first(disk.size())));
  CHECK(std::all_of(now.begin() + static_cast<ptrdiff_t>(disk.size()), now.end(),
                    [](uint8_t byte) { return byte == 0xee; }));
  CHECK(file.status().st_blocks * 512 <= 65536);
}

TEST_CASE("a medium that returns something else is noticed", "[restore]") {
  ModelDisk disk(kModelChunk * 64, 5);
  while (disk.content()[0] == 0) disk.content()[0] = 1;
  disk.lie_at = 1;
  for (Verify verify : {Verify::written, Verify::all}) {
    TargetFile file(base::Bytes(disk.size(), 0xee));
    WriteOptions options;
    options.verify = verify;
    // The store, or who sends it, lies: now and when it is asked again.
    disk.lie_count = ~0ull;
    CHECK_THROWS_WITH(run(disk, file, options),
                      Catch::Contains("has other bytes at 0 than its point"));
    // The target holds something else than the store says: its medium, or somebody else.
    disk.lie_count = 1;
    TargetFile other(base::Bytes(disk.size(), 0xee));
    CHECK_THROWS_WITH(run(disk, other, options), Catch::Contains("returns other bytes at 0 "));
  }
  CHECK(verify_from_name("written") == Verify::written);
  CHECK_THROWS(verify_from_name("some"));
}

TEST_CASE("a limited restore takes its time", "[restore]") {
  ModelDisk disk(kModelChunk * 32, 11);
  std::fill(disk.content().begin(), disk.content().end(), uint8_t{1});
  TargetFile file(base::Bytes(disk.size(), 0));
  WriteOptions options;
  options.rate_limit = 4 << 20;  // 2 MiB in half a second
  CHECK(run(disk, file, options).compare_ms >= 400);
}

TEST_CASE("a target is opened by one at a time", "[restore]") {
  TargetFile file(base::Bytes(kModelChunk, 1));
  CHECK_THROWS_WITH(Target::open("/var/tmp"), Catch::Contains("is a folder"));
  CHECK_THROWS_WITH(Target::open("/dev/null"), Catch::Contains("neither a file nor"));
  CHECK_THROWS_WITH(Target::create(file.path), Catch::Contains("exists"));
  base::UniqueFd other(::open(file.path.c_str(), O_RDWR | O_CLOEXEC));
  struct flock lock {};
  lock.l_whence = SEEK_SET;
  lock.l_start = 101;
  lock.l_len = 1;
  {
    Target target = Target::open(file.path);
    // A QEMU asks whether somebody forbids it to write.
    lock.l_type = F_WRLCK;
    lock.l_start = 201;
    REQUIRE(::fcntl(other.get(), F_OFD_GETLK, &lock) == 0);
    CHECK(lock.l_type == F_RDLCK);
  }
  lock = {};
  lock.l_type = F_RDLCK;
  lock.l_start = 101;
  lock.l_len = 1;
  REQUIRE(::fcntl(other.get(), F_OFD_SETLK, &lock) == 0);
  CHECK_THROWS_WITH(Target::open(file.path),
                    Catch::Contains("a virtual machine or another restore has it open"));
}

TEST_CASE("only the chunks that are named are written, and read back") {
  std::mt19937_64 random(11);
  ModelDisk disk(40 << 20, 11);
  base::Bytes wanted(disk.size());
  disk.read(0, wanted);
  base::Bytes old = wanted;
  std::vector<uint64_t> named;
  for (uint64_t chunk = 0; chunk * kModelChunk < old.size(); ++chunk) {
    if (random() % 50 != 0) continue;
    named.push_back(chunk);
    old[chunk * kModelChunk] ^= 1;
  }
  uint64_t others = named.back() == 0 ? 1 : 0;  // differs too, and nobody says so
  old[others * kModelChunk] ^= named.front() == others ? 0 : 1;
  TargetFile file(old);
  WriteOptions options;
  options.verify = Verify::written;
  options.only = named;
  WriteResult result = run(disk, file, options);
  CHECK(result.bytes_written == result.bytes_verified);
  CHECK(result.bytes_written <= named.size() * kModelChunk);
  base::Bytes found = file.content();
  for (uint64_t chunk : named) CHECK(found[chunk * kModelChunk] == wanted[chunk * kModelChunk]);
  if (named.front() != others) CHECK(found[others * kModelChunk] != wanted[others * kModelChunk]);
}

}  // namespace restore
