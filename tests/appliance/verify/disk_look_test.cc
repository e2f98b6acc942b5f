// What programs say of disks, what a check will cost, which system is on a file system, what is new on
// a guest's screen, and the keys of volumes.
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "appliance/verify/check_cost.h"
#include "appliance/verify/disk_layout.h"
#include "appliance/verify/found_system.h"
#include "appliance/verify/novelty.h"
#include "appliance/verify/volume_keys.h"
#include "base/error.h"
#include "base/scratch_directory.h"

namespace appliance::verify {

TEST_CASE("a check gets what its file system needs, within limits", "[verify]") {
  base::Bytes block(kSizesBlock);
  constexpr uint64_t kGiB = 1ull << 30;
  CHECK(cost_of("ext4", block).memory_size < kGiB / 4);
  CHECK(cost_of("ext4", {}).memory_size < kGiB / 4);
  // 16 TiB of ext4, a billion inodes, all in use.
  base::store_u32(&block[1024], 1'000'000'000);
  base::store_u32(&block[1024 + 4], 0xffffffff);
  CHECK(cost_of("ext4", block).memory_size > 8 * kGiB);
  CHECK(cost_of("ext4", block).timeout == std::chrono::minutes(120));
  // XFS of 4 TiB in blocks of 4 KiB: xfs_repair wants half a GiB, and gets more.
  block.assign(kSizesBlock, 0);
  block[12] = 0x40;
  CHECK(cost_of("xfs", block).memory_size > kGiB / 2);
  CHECK(cost_of("xfs", block).memory_size < 2 * kGiB);
  // Whatever is written there: a sum that does not wrap.
  for (const char* type : {"ext2", "ext4", "xfs", "btrfs", "vfat", "ntfs", "unknown"}) {
    block.assign(kSizesBlock, 0xff);
    CHECK(cost_of(type, block).memory_size < uint64_t{1} << 60);
    CHECK(cost_of(type, block).timeout <= std::chrono::minutes(120));
  }
  CHECK(most_check_memory() > 0);
}

TEST_CASE("partitions and types are read from the programs' words", "[verify]") {
  auto parts = parts_in(
      R"({"partitiontable": {"sectorsize": 512, "partitions": [
          {"node": "/v/disk1", "start": 2048, "size": 4096, "type": "83"},
          {"node": "/v/disk2", "start": 8192, "size": 4096, "type": "5"},
          {"node": "/v/disk3", "start": 0, "size": 4096, "type": "83"},
          {"node": "/elsewhere4", "start": 8192, "size": 1, "type": "83"}]}})",
      "/v/disk", "vda");
  REQUIRE(parts.size() == 1);
  CHECK(parts[0].name == "vda1");
  CHECK(parts[0].offset == 2048 * 512);
  CHECK(parts_in("nonsense", "/v/disk", "vda").empty());
  FoundType type = type_in("DEVNAME=/v/disk\nUUID=12-34\nTYPE=ext4\n", 0);
  CHECK(type.type == "ext4");
  CHECK(type.uuid == "12-34");
  CHECK(type_in("", 2).is_blank);
}

TEST_CASE("the system on a file system is named, and what its fstab waits for", "[verify]") {
  CHECK(system_in("NAME=\"x\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n") ==
        "Debian GNU/Linux 12 (bookworm)");
  CHECK(system_in("ntdll.dll NTOSKRNL.EXE hal.dll") == "Windows");
  CHECK(system_in("bin etc").empty());
  auto mounts = mounts_in(
      "# a comment\nUUID=a / ext4 errors=remount-ro 0 1\nUUID=b /data xfs defaults,nofail 0 2\n"
      "UUID=c none swap sw 0 0\n/dev/sda1 /x ext4 defaults 0 0\nUUID=d /srv ext4 noauto 0 0\n");
  REQUIRE(mounts.size() == 1);
  CHECK(mounts[0].uuid == "a");
  CHECK(mounts[0].mount_point == "/");
}

TEST_CASE("a clock, a counter and a trickle of writes are nothing new", "[verify]") {
  Novelty novelty;
  CHECK(novelty.is_new_on_serial("[    1.2] Loading drivers\n"));
  CHECK_FALSE(novelty.is_new_on_serial("[   31.2] Loading drivers\n[   32.0] Loading "));
  CHECK_FALSE(novelty.is_new_on_serial("drivers\n"));
  CHECK(novelty.is_new_on_serial("Loading more\n"));
  Picture picture{64, 48, base::Bytes(size_t{3} * 64 * 48)};
  CHECK(novelty.is_new_on_screen(picture, "Working 12:30:01"));
  CHECK_FALSE(novelty.is_new_on_screen(picture, "Working 12:30:02"));
  CHECK(novelty.is_new_on_disks(2 << 20, 1000));
  uint64_t sum = 2 << 20;
  for (uint64_t now = 1000; now < 300'000; now += 1000)
    CHECK_FALSE(novelty.is_new_on_disks(sum += 20'000, now));
  // An animation shows new pictures for ever.
  uint32_t count = 0;
  for (uint32_t i = 0; i < 500; ++i) {
    for (size_t k = 0; k < picture.rgb.size(); ++k)
      picture.rgb[k] = static_cast<uint8_t>((k / 3 * (i + 1)) >> 4);
    if (novelty.is_new_on_screen(picture, "")) ++count;
  }
  CHECK(count <= 40);
  novelty.forget();
  CHECK(novelty.is_new_on_screen(picture, "Working 12:30:03"));
}

TEST_CASE("keys of volumes are kept for a machine, privately", "[verify]") {
  base::ScratchDirectory scratch("/tmp", "muletto-keys-test");
  std::string folder = scratch.path() + "/volume-keys";
  VolumeKeys keys(folder);
  access::TenantName acme("acme"), bravo("bravo");
  CHECK(keys.of(acme, "web").empty());
  keys.forget(acme, "web");
  base::Bytes bytes{0, 1, 255, 10};
  keys.add(acme, "web", {"root disk", bytes});
  keys.add(acme, "web", {"other", {1}});
  keys.add(acme, "web", {"other", {2}});
  auto kept = VolumeKeys(folder).of(acme, "web");
  REQUIRE(kept.size() == 2);
  CHECK(kept[0].secret == bytes);
  CHECK(kept[1].secret == base::Bytes{2});
  CHECK(keys.of(bravo, "web").empty());
  CHECK(keys.of(acme, "web2").empty());
  struct stat seen {};
  REQUIRE(::stat(folder.c_str(), &seen) == 0);
  CHECK((seen.st_mode & 0777) == 0700);
  CHECK_THROWS_AS(keys.add(acme, "web", {"", {1}}), base::Error);
  CHECK_THROWS_AS(keys.add(acme, "web", {"empty", {}}), base::Error);
  CHECK_THROWS_AS(keys.remove(acme, "web", "nothing"), base::Error);
  for (int i = 0; i < 6; ++i) keys.add(acme, "web", {"k" + std::to_string(i), {1}});
  CHECK_THROWS_AS(keys.add(acme, "web", {"one too many", {1}}), base::Error);
  keys.remove(acme, "web", "other");
  CHECK(keys.list(acme, "web").size() == 7);
  keys.forget(acme, "web");
  CHECK(keys.list(acme, "web").empty());
}

}  // namespace appliance::verify
