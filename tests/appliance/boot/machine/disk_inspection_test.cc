#include "appliance/boot/machine/disk_inspection.h"

#include <catch2/catch.hpp>
#include <random>

#include "base/error.h"

namespace appliance::boot {
namespace {

class MemoryDisk : public images::DiskReader {
 public:
  explicit MemoryDisk(base::Bytes content) : content_(std::move(content)) {}
  const images::PointDisk& disk() const override { return disk_; }
  uint64_t size() const override { return content_.size(); }
  void read(uint64_t offset, base::MutableByteView out) override {
    REQUIRE(offset + out.size() <= content_.size());
    std::copy_n(content_.begin() + static_cast<ptrdiff_t>(offset), out.size(), out.begin());
  }
  std::vector<images::Extent> extents(uint64_t, uint64_t) override { return {}; }
  const images::ChunkHasher& hasher() const override { return hasher_; }
  std::vector<images::ChunkId> chunk_ids(uint64_t, uint64_t count) override {
    return std::vector<images::ChunkId>(count);
  }

 private:
  images::PointDisk disk_;
  images::ChunkHasher hasher_{65536};
  base::Bytes content_;
};

void put(base::Bytes& bytes, size_t offset, std::string_view text) {
  std::copy(text.begin(), text.end(), bytes.begin() + static_cast<ptrdiff_t>(offset));
}

base::Bytes with_mbr(uint8_t type, uint8_t active, uint32_t start) {
  base::Bytes bytes(1 << 20);
  bytes[0] = 0xfa;
  bytes[446] = active;
  bytes[450] = type;
  base::store_u32(bytes.data() + 454, start);
  bytes[510] = 0x55;
  bytes[511] = 0xaa;
  return bytes;
}

base::Bytes with_gpt(size_t sector_size, std::string_view type_hex) {
  base::Bytes bytes = with_mbr(0xee, 0, 1);
  put(bytes, sector_size, "EFI PART");
  base::store_u64(bytes.data() + sector_size + 72, 2);
  base::store_u32(bytes.data() + sector_size + 80, 128);
  base::store_u32(bytes.data() + sector_size + 84, 128);
  base::Bytes type = base::from_hex(type_hex, 16);
  std::copy(type.begin(), type.end(),
            bytes.begin() + static_cast<ptrdiff_t>(2 * sector_size + 128));
  return bytes;
}

DiskInspection look(base::Bytes content) {
  MemoryDisk disk(std::move(content));
  return inspect_disk(disk);
}

constexpr const char* kEsp = "28732ac11ff8d211ba4b00a0c93ec93b";
constexpr const char* kLinux = "af3dc60f838472478e793d69d8477de4";
constexpr const char* kReserved = "16e3c9e35c0bb84d817df92df00215ae";

}  // namespace

TEST_CASE("firmware is found from the partition table", "[boot]") {
  CHECK(firmware_of(look(with_gpt(512, kEsp))) == images::Firmware::uefi);
  CHECK(firmware_of(look(with_gpt(4096, kEsp))) == images::Firmware::uefi);
  CHECK(firmware_of(look(with_gpt(512, kLinux))) == images::Firmware::bios);
  CHECK(look(with_gpt(512, kReserved)).has_windows);
  CHECK(firmware_of(look(with_mbr(0x83, 0x80, 2048))) == images::Firmware::bios);
  CHECK(firmware_of(look(with_mbr(0xef, 0, 1))) == images::Firmware::uefi);
  base::Bytes windows = with_mbr(0x07, 0x80, 8);
  put(windows, 8 * 512 + 3, "NTFS    ");
  CHECK(look(windows).has_windows);
}

TEST_CASE("a damaged or hostile partition table is no table", "[boot]") {
  CHECK(!look(base::Bytes{}).has_partitions);
  CHECK(!look(base::Bytes(512)).has_partitions);
  CHECK(!look(base::Bytes(100)).has_partitions);
  base::Bytes bytes = with_gpt(512, kEsp);
  base::store_u32(bytes.data() + 512 + 84, 0);
  CHECK(!look(bytes).has_efi_system_partition);
  bytes = with_gpt(512, kEsp);
  base::store_u64(bytes.data() + 512 + 72, ~0ull / 256);
  CHECK(!look(bytes).has_efi_system_partition);

  std::mt19937_64 random(20260101);
  for (int i = 0; i < 2000; ++i) {
    base::Bytes fuzzed = with_gpt(512, kEsp);
    fuzzed.resize(512 + random() % 65536);
    for (int j = 0; j < 8; ++j)
      fuzzed[random() % std::min<size_t>(fuzzed.size(), 2048)] = static_cast<uint8_t>(random());
    look(fuzzed);
  }
}

}  // namespace appliance::boot
