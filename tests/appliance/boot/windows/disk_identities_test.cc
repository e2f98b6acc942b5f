#include "appliance/boot/windows/disk_identities.h"

#include <catch2/catch.hpp>
#include <cstring>

#include "base/bytes.h"

namespace appliance::boot {
namespace {

using base::Bytes;

class MemoryDisk : public images::DiskSource {
 public:
  explicit MemoryDisk(uint64_t size) : content(size) {}
  uint64_t size() const override { return content.size(); }
  std::vector<images::Extent> extents(uint64_t, uint64_t) override { return {}; }
  void read(uint64_t offset, base::MutableByteView out) override {
    ++reads;
    std::copy_n(content.begin() + static_cast<ptrdiff_t>(offset), out.size(), out.begin());
  }
  void put(size_t at, uint64_t value, size_t size) {
    for (size_t i = 0; i < size; ++i) content[at + i] = static_cast<uint8_t>(value >> (8 * i));
  }
  void entry(size_t sector, size_t index, uint8_t type, uint32_t start) {
    size_t at = sector * 512 + 446 + index * 16;
    content[at + 4] = type;
    put(at + 8, start, 4);
    put(sector * 512 + 510, 0xaa55, 2);
  }

  Bytes content;
  size_t reads = 0;
};

TEST_CASE("partitions of an MBR are known by their offsets and the disk's signature") {
  MemoryDisk disk(1 << 20);
  disk.put(440, 0x1234'5678, 4);
  disk.entry(0, 0, 0x07, 64);
  disk.entry(0, 1, 0x05, 512);   // extended
  disk.entry(512, 0, 0x07, 16);  // logical
  disk.entry(512, 1, 0x05, 256);
  disk.entry(768, 0, 0x83, 8);
  std::memcpy(disk.content.data() + 64 * 512 + 3, "NTFS    ", 8);
  auto found = partition_identities(disk, 512);
  REQUIRE(found.size() == 3);
  CHECK(found[0].offset == 64 * 512);
  CHECK(found[0].size == (528 - 64) * 512);
  CHECK(found[0].is_ntfs);
  CHECK(found[0].identity == "00800000000000000000000000000000/78563412000000000000000000000000");
  CHECK(found[1].offset == 528 * 512);
  CHECK(found[2].offset == 776 * 512);
  CHECK_FALSE(found[2].is_ntfs);
}

TEST_CASE("a chain of logical partitions that goes in a circle ends") {
  MemoryDisk disk(1 << 20);
  for (size_t i = 0; i < 4; ++i) {
    disk.entry(0, i, 0x05, 512);
    disk.entry(512, i, 0x05, 0x8000'0000);
    disk.entry(512, i, 0x0f, 1);
    disk.entry(513, i, 0x0f, 1);
  }
  CHECK(partition_identities(disk, 512).empty());
  CHECK(disk.reads < 200);
}

TEST_CASE("partitions of a GUID table are known by both GUIDs") {
  for (uint32_t sector : {512u, 4096u}) {
    MemoryDisk disk(1 << 20);
    std::memcpy(disk.content.data() + sector, "EFI PART", 8);
    for (size_t i = 0; i < 16; ++i) disk.content[sector + 56 + i] = static_cast<uint8_t>(0x10 + i);
    disk.put(sector + 72, 2, 8);
    disk.put(sector + 80, 128, 4);
    disk.put(sector + 84, 128, 4);
    size_t entry = 2 * sector;
    disk.content[entry] = 7;  // a type
    for (size_t i = 0; i < 16; ++i) disk.content[entry + 16 + i] = static_cast<uint8_t>(0x20 + i);
    disk.put(entry + 32, 100, 8);
    auto found = partition_identities(disk, sector);
    REQUIRE(found.size() == 1);
    CHECK(found[0].offset == 100 * uint64_t{sector});
    CHECK(found[0].identity == "202122232425262728292a2b2c2d2e2f/101112131415161718191a1b1c1d1e1f");
  }
}

TEST_CASE("a table that lies has no partitions outside the disk") {
  MemoryDisk disk(1 << 16);
  std::memcpy(disk.content.data() + 512, "EFI PART", 8);
  disk.put(512 + 72, 0xffff'ffff'ffff'ffff, 8);
  disk.put(512 + 80, 0xffff'ffff, 4);
  disk.put(512 + 84, 128, 4);
  CHECK(partition_identities(disk, 512).empty());
  MemoryDisk none(100);
  CHECK(partition_identities(none, 512).empty());
}

}  // namespace
}  // namespace appliance::boot
