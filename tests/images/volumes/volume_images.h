// Disks with LVM, software RAID, LUKS and BitLocker on them, made byte by byte as their own tools
// make them: for tests without a kernel that could. tests/system/71-volumes.sh uses the real tools.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "images/disk_source.h"

namespace tests {

class MemoryDisk : public images::DiskSource {
 public:
  explicit MemoryDisk(base::Bytes bytes) : bytes_(std::move(bytes)) {}
  uint64_t size() const override { return bytes_.size(); }
  std::vector<images::Extent> extents(uint64_t offset, uint64_t length) override {
    return {{offset, length, images::ExtentKind::data}};
  }
  void read(uint64_t offset, base::MutableByteView out) override;
  base::Bytes& bytes() { return bytes_; }

 private:
  base::Bytes bytes_;
};

// Bytes by which every place can be told from every other.
base::Bytes pattern(size_t size, uint32_t seed);

// Writes a label and one metadata area with `text` at the beginning of `disk`. The id has 32
// letters.
void make_physical_volume(base::Bytes& disk, const std::string& id, const std::string& text);
// "pv0 { id = … }" for the text of a group: extents of 1 MiB begin at 1 MiB.
std::string physical_text(const std::string& key, const std::string& id, uint32_t extent_count);
// A group with extents of 1 MiB.
std::string group_text(const std::string& name, uint32_t seqno, const std::string& physical,
                       const std::string& logical);
// A visible logical volume of one segment; `segment` is "type = …" and what belongs to it.
std::string logical_text(const std::string& name, uint32_t extent_count, const std::string& segment,
                         bool is_visible = true);

struct RaidShape {
  int32_t level = 1;
  uint32_t layout = 0;
  uint32_t chunk_size = 0;  // bytes
  uint32_t member_count = 2;
  uint64_t event_count = 10;
  uint64_t used_size = 0;  // bytes of each member
  uint32_t role = 0;
};
// Superblocks of version 1.0, 1.1 and 1.2 (`version` 0, 1, 2); data begin at 1 MiB, or at 0.
void make_raid_member(base::Bytes& disk, int version, const RaidShape& shape);
void make_old_raid_member(base::Bytes& disk, const RaidShape& shape);

// A LUKS volume whose data are `plain`, opened by `secret`.
base::Bytes luks1(const base::Bytes& plain, const std::string& secret);
base::Bytes luks2(const base::Bytes& plain, const std::string& secret,
                  const std::string& cipher = "aes-xts-plain64", uint32_t sector_size = 512);

constexpr char kRecoveryKey[] = "000011-000022-000033-000044-000055-000066-000077-720885";
// A BitLocker volume of AES-XTS-128 with kRecoveryKey; `plain` is larger than 1 MiB.
base::Bytes bitlocker(const base::Bytes& plain);
// What its file system sees of `plain`: zeros in place of BitLocker's own blocks.
base::Bytes seen_in_bitlocker(base::Bytes plain);

}  // namespace tests
