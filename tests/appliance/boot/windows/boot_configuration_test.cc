#include "appliance/boot/windows/boot_configuration.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "base/scratch_directory.h"
#include "tests/appliance/boot/windows/hives.h"

namespace appliance::boot::windows {
namespace {

using base::Bytes;

const std::string kManager = "{9dea862c-5cdd-4e70-acc1-f32b344d4795}";
const std::string kEntry = "{a1b2c3d4-0000-11ee-8000-001122334455}";
const std::string kPartition = "00112233445566778899aabbccddeeff";
const std::string kDisk = "ffeeddccbbaa99887766554433221100";

Bytes device(uint32_t kind, const std::string& partition = kPartition,
             const std::string& disk = kDisk, uint32_t style = 0) {
  base::ByteWriter bytes;
  bytes.view(Bytes(16));
  bytes.u32(kind);
  bytes.u32(0);
  bytes.u32(0x48);
  bytes.u32(0);
  bytes.view(base::from_hex(partition, 16));
  bytes.u32(0);
  bytes.u32(style);
  bytes.view(base::from_hex(disk, 16));
  bytes.view(Bytes(16));
  return bytes.take();
}

TestValue element(const std::string& object, const char* name, int type, Bytes bytes) {
  return {"Objects\\" + object + "\\Elements\\" + name, "Element", type, std::move(bytes)};
}

std::vector<TestValue> usual() {
  return {element(kManager, "23000003", 1, utf16(kEntry)),
          element(kEntry, "11000001", 3, device(6)),
          element(kEntry, "12000002", 1, utf16("\\Windows\\system32\\winload.efi")),
          element(kEntry, "21000001", 3, device(6))};
}

std::vector<std::string> troubles(const std::vector<TestValue>& values, bool is_uefi = true,
                                  bool has_loader = true, bool has_partition = true) {
  base::ScratchDirectory scratch("/tmp", "bcd");
  KnownSystem system;
  system.is_uefi = is_uefi;
  system.has_partition = [&](const std::string& identity) {
    return has_partition && identity == kPartition + "/" + kDisk;
  };
  system.has_file = [&](const std::string&, const std::string& path) {
    return has_loader && path == "/Windows/system32/winload.efi";
  };
  return troubles_of_boot(make_hive(values), scratch.path() + "/bcd", system);
}

TEST_CASE("a boot configuration that leads to its loader has no troubles") {
  CHECK(troubles(usual()).empty());
  auto values = usual();
  values[1] = element(kEntry, "11000001", 3, device(5));
  CHECK(troubles(values).empty());
  values = usual();
  values[0] = element(kManager, "24000001", 7, utf16(kEntry));
  CHECK(troubles(values).empty());
}

TEST_CASE("what a boot configuration lacks is said") {
  auto says = [](const std::vector<std::string>& found, const char* words) {
    REQUIRE_FALSE(found.empty());
    CHECK_THAT(found.front(), Catch::Contains(words));
  };
  says(troubles(usual(), true, false), "which is not there");
  says(troubles(usual(), false), "which is for UEFI, and it starts by BIOS");
  says(troubles(usual(), true, true, false), "none of its disks has");
  says(troubles({{"Objects", "x", 4, number_bytes(1)}}), "no boot manager");
  auto values = usual();
  values[0] = element(kManager, "25000004", 3, Bytes(8));
  says(troubles(values), "no default entry");
  values[0] = element(kManager, "23000003", 1, utf16("{gone}"));
  says(troubles(values), "does not exist");
  values = usual();
  values[2].bytes.clear();
  says(troubles(values), "does not name the loader");
}

TEST_CASE("elements of a hostile size are bounded") {
  auto values = usual();
  values[1].bytes.resize(20);
  values[3].bytes.resize(3);
  CHECK(troubles(values).empty());
  values[2].bytes = Bytes(70'000, 0x41);
  CHECK_FALSE(troubles(values).empty());
  base::ScratchDirectory scratch("/tmp", "bcd");
  CHECK_THROWS_AS(troubles_of_boot(Bytes(9000, 7), scratch.path() + "/bcd", {}), base::Error);
}

}  // namespace
}  // namespace appliance::boot::windows
