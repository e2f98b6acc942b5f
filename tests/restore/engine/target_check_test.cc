#include "restore/engine/target_check.h"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "base/file_system.h"
#include "base/scratch_directory.h"
#include "base/subprocess.h"
#include "base/unique_fd.h"
#include "tests/restore/model_disk.h"

namespace restore {
namespace {

constexpr uint64_t kSize = 64 * kModelChunk;

std::string make_file_system(const base::ScratchDirectory& scratch, const std::string& name) {
  std::string path = scratch.path() + "/" + name;
  base::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
  REQUIRE(::ftruncate(fd.get(), kSize) == 0);
  base::run_checked({"/sbin/mkfs.ext4", "-q", "-L", name, path});
  return path;
}

void load(ModelDisk& disk, const std::string& path) {
  base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  REQUIRE(::pread(fd.get(), disk.content().data(), disk.size(), 0) ==
          static_cast<ssize_t>(disk.size()));
}

}  // namespace

TEST_CASE("what is on a target is found, and whose it is", "[restore]") {
  base::ScratchDirectory scratch("/var/tmp", "target-check");
  std::string own = make_file_system(scratch, "own"), other = make_file_system(scratch, "other");
  ModelDisk disk(kSize, 1);
  load(disk, own);

  Target older = Target::open(own);
  TargetFindings findings = examine_target(older, disk);
  CHECK(findings.description().rfind("ext4 file system 'own' ", 0) == 0);
  CHECK(findings.foreign.empty());
  CHECK_FALSE(findings.is_empty);
  CHECK_THROWS_WITH(
      require_overwritable(older, findings, "web", {}),
      Catch::Contains("holds ext4 file system 'own'") && Catch::Contains("--overwrite 'web'"));
  CHECK_THROWS_WITH(require_overwritable(older, findings, "web", {"db"}),
                    Catch::Contains("'db' is another name"));
  CHECK_NOTHROW(require_overwritable(older, findings, "web", {"web"}));

  Target foreign = Target::open(other);
  findings = examine_target(foreign, disk);
  CHECK(findings.foreign.size() == 1);
  CHECK_THROWS_WITH(
      require_overwritable(foreign, findings, "web", {"web"}),
      Catch::Contains("seems to be another disk") && Catch::Contains("--erase-foreign"));
  CHECK_NOTHROW(require_overwritable(foreign, findings, "web", {"web", true}));
}

TEST_CASE("an empty target needs no permission, unknown data does", "[restore]") {
  base::ScratchDirectory scratch("/var/tmp", "target-check");
  ModelDisk disk(kSize, 1);
  Target fresh = Target::create(scratch.path() + "/fresh");
  CHECK(examine_target(fresh, disk).is_empty);
  fresh.resize(kSize);
  CHECK(examine_target(fresh, disk).is_empty);
  fresh.write_zeros(0, kSize);
  CHECK(examine_target(fresh, disk).is_empty);
  CHECK_NOTHROW(require_overwritable(fresh, examine_target(fresh, disk), "web", {}));

  base::Bytes word{'d', 'a', 't', 'a'};
  fresh.write(100, word);
  TargetFindings findings = examine_target(fresh, disk);
  CHECK(findings.description() == "data of an unknown kind");
  CHECK_THROWS(require_overwritable(fresh, findings, "web", {}));

  fresh.resize(kSize * 2);
  CHECK(examine_target(fresh, disk).notes.size() == 1);
}

TEST_CASE("signatures are text of others", "[restore]") {
  base::Bytes bytes(1 << 20);
  auto read = [&](uint64_t offset, base::MutableByteView out) {
    std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(offset), out.size(), out.begin());
  };
  CHECK(content_of(bytes.size(), read).is_blank);
  CHECK(content_of(0, read).is_blank);
  base::ScratchDirectory scratch("/var/tmp", "target-check");
  std::string path = make_file_system(scratch, "evil");
  base::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  const char label[] = "a\nPTTYPE=gpt\x1b[";
  REQUIRE(::pwrite(fd.get(), label, sizeof label, 1024 + 0x78) == sizeof label);
  bytes.resize(kSize);
  REQUIRE(::pread(fd.get(), bytes.data(), kSize, 0) == static_cast<ssize_t>(kSize));
  DiskContent content = content_of(kSize, read);
  CHECK(content.signatures.size() <= 2);
  for (const std::string& each : content.signatures)
    CHECK(std::all_of(each.begin(), each.end(), [](char c) { return c >= ' ' && c != 0x7f; }));
}

}  // namespace restore
