#include "appliance/boot/machine/disk_check.h"

#include <catch2/catch.hpp>

#include "base/error.h"

namespace appliance::boot {
namespace {

// A disk of zeros that is damaged in one place.
class HurtDisk : public images::DiskReader {
 public:
  explicit HurtDisk(uint64_t size, uint64_t damage) : size_(size), damage_(damage) {}
  const images::PointDisk& disk() const override { return disk_; }
  uint64_t size() const override { return size_; }
  void read(uint64_t offset, base::MutableByteView out) override {
    read_size += out.size();
    fail_in(offset, out.size());
    std::fill(out.begin(), out.end(), uint8_t{0});
  }
  std::vector<images::Extent> extents(uint64_t offset, uint64_t length) override {
    fail_in(offset, length);
    return {};
  }
  const images::ChunkHasher& hasher() const override { return hasher_; }
  std::vector<images::ChunkId> chunk_ids(uint64_t, uint64_t count) override {
    return std::vector<images::ChunkId>(count);
  }
  uint64_t read_size = 0;

 private:
  void fail_in(uint64_t offset, uint64_t length) const {
    if (damage_ >= offset && damage_ < offset + length)
      throw base::Error(base::ErrorCode::corrupt, "a chunk is missing");
  }
  images::PointDisk disk_;
  images::ChunkHasher hasher_{65536};
  uint64_t size_, damage_;
};

std::optional<std::string> damage(uint64_t size, uint64_t at) {
  HurtDisk disk(size, at);
  return damage_where_boot_begins(disk, {.partition_starts = {64 << 20, 1ull << 60}});
}

}  // namespace

TEST_CASE("damage is found where a boot begins, at little cost", "[boot]") {
  constexpr uint64_t kSize = 1ull << 40, kNowhere = UINT64_MAX;
  CHECK(damage(kSize, 0).value_or("") == "a chunk is missing");
  CHECK(damage(kSize, (1 << 20) - 1));
  CHECK(damage(kSize, (64 << 20) + 1000));  // a partition's first sectors
  CHECK(damage(kSize, kSize - 1));          // the second partition table
  CHECK(damage(kSize, kSize / 2));          // a node of the tree
  CHECK(!damage(kSize, kSize / 2 + (1 << 20)));
  for (uint64_t size : {uint64_t{0}, uint64_t{512}, uint64_t{1} << 20, uint64_t{3} << 20})
    CHECK(!damage(size, kNowhere));
  HurtDisk disk(kSize, kNowhere);
  CHECK(!damage_where_boot_begins(disk, {}));
  CHECK(disk.read_size < (2 << 20));
}

}  // namespace appliance::boot
