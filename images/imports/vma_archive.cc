#include "images/imports/vma_archive.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "base/check.h"
#include "base/clean_text.h"
#include "base/digest.h"
#include "base/error.h"
#include "images/point.h"
#include "images/sources/header_fields.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;

constexpr uint64_t kCluster = 65536, kBlock = 4096;  // bytes
constexpr uint64_t kSector = 512;
constexpr size_t kNameCount = 256, kDeviceCount = 256;
constexpr uint64_t kHeaderEnd = 12288;     // of the fixed part
constexpr uint64_t kMaxHeader = 16 << 20;  // bytes, with names and configurations
constexpr uint64_t kExtentHeader = 512;    // bytes
constexpr size_t kClustersOfExtent = 59;
constexpr uint64_t kMask = 0xffff;  // of a cluster's blocks
// 2 GiB of memory for the places of their clusters.
constexpr uint64_t kLargestDisks = 16ull << 40;  // bytes, together
constexpr std::string_view kMagic{"VMA\0", 4}, kExtentMagic = "VMAE";
// A place in the file is a multiple of 512 below 2^48, beside the mask of 16 blocks.
constexpr uint64_t kLargestFile = 1ull << 56;

// The sum counts its own place as zeros.
bool has_sound_sum(const std::string& header, size_t at) {
  base::Digest digest(base::DigestKind::md5);
  std::string copy = header;
  std::fill_n(copy.begin() + static_cast<ptrdiff_t>(at), 16, '\0');
  digest.update(base::as_bytes(copy));
  return digest.finish() == base::to_hex(base::as_bytes(std::string_view(header).substr(at, 16)));
}

struct DeviceMap {
  VmaArchive::Device device;
  // For each cluster: (offset in the file / 512) << 16 | mask of stored blocks; 0: not seen yet.
  std::vector<uint64_t> places;
};

class VmaFile : public VmaArchive, public std::enable_shared_from_this<VmaFile> {
 public:
  VmaFile(const FilePart& part, const std::string& path) : part_(part), path_(path) {}

  void read(const std::function<void(uint64_t)>& on_progress) {
    uint64_t at = read_header();
    uint64_t end = size_of(part_);
    if (end > kLargestFile) fail("it is too large");
    if (at >= end) fail("it has no content");
    // Before there is memory for them.
    if (cluster_count() > end / kExtentHeader * kClustersOfExtent) fail("it is cut off");
    if (cluster_count() > kLargestDisks / kCluster)
      throw Error(ErrorCode::unsupported, path_ + " has more than 16 TiB of disks");
    for (uint64_t shown = 0; at < end;) {
      at = read_extent(at, end);
      constexpr uint64_t kShowEvery = 64 << 20;
      if (on_progress && (at - shown >= kShowEvery || at == end)) on_progress(shown = at);
    }
    expect_complete();
  }

  const std::vector<Device>& devices() const override { return devices_; }
  const std::string& machine_config() const override { return config_; }
  std::unique_ptr<DiskSource> disk(size_t index) const override;

  const DeviceMap& map_of(size_t index) const { return maps_[index]; }
  void read_at(uint64_t offset, base::MutableByteView out) const {
    while (!out.empty()) {
      ssize_t count =
          ::pread(part_.fd, out.data(), out.size(), static_cast<off_t>(part_.offset + offset));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) throw base::system_error(errno, "cannot read " + path_);
      if (count == 0) throw Error(ErrorCode::io, path_ + " became shorter while it was being read");
      out = out.subspan(static_cast<size_t>(count));
      offset += static_cast<uint64_t>(count);
    }
  }

 private:
  [[noreturn]] void fail(std::string_view problem) const {
    throw Error(ErrorCode::corrupt,
                fmt::format("{} is not a whole VMA archive: {}", path_, problem));
  }

  // Strings and configurations: a length of two bytes, least significant first, then the bytes.
  std::string blob(const std::string& header, uint64_t buffer, uint64_t size, uint64_t at) const {
    HeaderFields fields(header);
    if (at == 0) return "";
    if (at >= size || size - at < 2) fail("a name lies outside of it");
    uint64_t length = fields.little_endian(buffer + at, 2);
    if (length > size - at - 2) fail("a name lies outside of it");
    return header.substr(buffer + at + 2, length);
  }

  uint64_t read_header() {
    std::string header = read_text(part_, 0, kHeaderEnd);
    HeaderFields first(header);
    if (header.size() != kHeaderEnd || !header.starts_with(kMagic)) fail("its header is missing");
    if (first.big_endian(4, 4) != 1)
      throw Error(ErrorCode::unsupported, path_ + " is a VMA archive of an unknown version");
    uint64_t size = first.big_endian(56, 4);
    if (size < kHeaderEnd || size > kMaxHeader) fail("its header is of an impossible size");
    header = read_text(part_, 0, size);
    if (header.size() != size) fail("it is cut off");
    if (!has_sound_sum(header, 32)) fail("its header's checksum is wrong");
    uuid_ = header.substr(8, 16);
    HeaderFields fields(header);
    uint64_t buffer = fields.big_endian(48, 4), buffer_size = fields.big_endian(52, 4);
    if (buffer > size || buffer_size > size - buffer) fail("its names lie outside of it");
    constexpr size_t kNames = 2044, kData = kNames + 4 * kNameCount, kDevices = 4096;
    for (size_t i = 0; i < kNameCount; ++i) {
      std::string name = blob(header, buffer, buffer_size, fields.big_endian(kNames + 4 * i, 4));
      if (name.substr(0, name.find('\0')) == "qemu-server.conf")
        config_ = blob(header, buffer, buffer_size, fields.big_endian(kData + 4 * i, 4));
    }
    numbers_.assign(kDeviceCount, kDeviceCount);
    for (size_t i = 1; i < kDeviceCount; ++i) {
      size_t at = kDevices + 32 * i;
      std::string name = blob(header, buffer, buffer_size, fields.big_endian(at, 4));
      if (name.empty()) continue;
      add_device(i, name.substr(0, name.find('\0')), fields.big_endian(at + 8, 8));
    }
    if (maps_.empty()) fail("it has no disk");
    return size;
  }

  void add_device(size_t number, const std::string& name, uint64_t size) {
    if (size > kMaxDiskSize || size % kSector != 0) fail("a disk has an impossible size");
    numbers_[number] = maps_.size();
    devices_.push_back({base::clean_text(name, 100), size});
    maps_.push_back({devices_.back(), {}});
  }

  uint64_t read_extent(uint64_t at, uint64_t end) {
    std::string header = read_text(part_, at, kExtentHeader);
    if (header.size() != kExtentHeader) fail("it is cut off");
    if (!header.starts_with(kExtentMagic) || header.compare(8, 16, uuid_) != 0 ||
        !has_sound_sum(header, 24))
      fail(fmt::format("the header at {} is damaged", at));
    HeaderFields fields(header);
    uint64_t data = at + kExtentHeader, told = fields.big_endian(6, 2);
    uint64_t blocks = 0;
    for (size_t i = 0; i < kClustersOfExtent; ++i) {
      uint64_t info = fields.big_endian(40 + 8 * i, 8);
      uint64_t mask = info >> 48, number = info >> 32 & 0xff, cluster = info & 0xffffffff;
      if (number == 0) continue;
      uint64_t count = static_cast<uint64_t>(std::popcount(mask));
      place(number, cluster, mask, data + blocks * kBlock);
      blocks += count;
    }
    if (blocks != told) fail(fmt::format("the header at {} contradicts itself", at));
    uint64_t next = data + blocks * kBlock;
    if (next > end) fail("it is cut off");
    return next;
  }

  void place(uint64_t number, uint64_t cluster, uint64_t mask, uint64_t offset) {
    if (number >= numbers_.size() || numbers_[number] == kDeviceCount)
      fail("it has content of a disk that it does not name");
    DeviceMap& map = maps_[numbers_[number]];
    if (cluster >= (map.device.size + kCluster - 1) / kCluster)
      fail("it has content beyond the end of a disk");
    if (map.places.size() <= cluster) map.places.resize(grown(map, cluster));
    if (map.places[cluster] != 0) fail("it has a part of a disk twice");
    map.places[cluster] = offset / kSector << 16 | mask;
    ++seen_;
  }

  // At least doubled, so that a table is not copied for each of its clusters.
  static size_t grown(const DeviceMap& map, uint64_t cluster) {
    uint64_t all = (map.device.size + kCluster - 1) / kCluster;
    return std::min(all, std::max<uint64_t>(cluster + 1, map.places.size() * 2));
  }

  uint64_t cluster_count() const {
    uint64_t all = 0;
    for (const DeviceMap& map : maps_) all += (map.device.size + kCluster - 1) / kCluster;
    return all;
  }

  // Each cluster of each disk is in the stream, also those of zeros: one that ends early lacks some.
  void expect_complete() const {
    uint64_t all = cluster_count();
    if (seen_ != all) fail(fmt::format("it has {} of {} parts of its disks", seen_, all));
  }

  const FilePart part_;
  const std::string path_;
  std::string uuid_;
  std::string config_;
  std::vector<Device> devices_;
  std::vector<DeviceMap> maps_;
  std::vector<size_t> numbers_;  // of a device in the file: its index here
  uint64_t seen_ = 0;            // clusters
};

class VmaDisk : public DiskSource {
 public:
  VmaDisk(std::shared_ptr<const VmaFile> file, size_t index)
      : file_(std::move(file)), map_(file_->map_of(index)) {}

  uint64_t size() const override { return map_.device.size; }

  std::vector<Extent> extents(uint64_t offset, uint64_t length) override {
    CHECK(offset <= size() && length <= size() - offset);
    std::vector<Extent> found;
    for (uint64_t end = offset + length; offset < end;) {
      uint64_t next = std::min(end, (offset / kCluster + 1) * kCluster);
      ExtentKind kind = (place_of(offset) & kMask) == 0 ? ExtentKind::zero : ExtentKind::data;
      if (!found.empty() && found.back().kind == kind) found.back().length += next - offset;
      else found.push_back({offset, next - offset, kind});
      offset = next;
    }
    return found;
  }

  void read(uint64_t offset, base::MutableByteView out) override {
    CHECK(offset <= size() && out.size() <= size() - offset);
    while (!out.empty()) {
      uint64_t in_block = offset % kBlock;
      base::MutableByteView piece = out.first(std::min<uint64_t>(out.size(), kBlock - in_block));
      uint64_t place = place_of(offset), block = offset % kCluster / kBlock;
      if ((place >> block & 1) == 0) {
        std::fill(piece.begin(), piece.end(), uint8_t{0});
      } else {
        uint64_t before = static_cast<uint64_t>(std::popcount(place & ((1ull << block) - 1)));
        file_->read_at((place >> 16) * kSector + before * kBlock + in_block, piece);
      }
      out = out.subspan(piece.size());
      offset += piece.size();
    }
  }

 private:
  uint64_t place_of(uint64_t offset) const {
    uint64_t cluster = offset / kCluster;
    return cluster < map_.places.size() ? map_.places[cluster] : 0;
  }

  std::shared_ptr<const VmaFile> file_;
  const DeviceMap& map_;
};

std::unique_ptr<DiskSource> VmaFile::disk(size_t index) const {
  return std::make_unique<VmaDisk>(shared_from_this(), index);
}

}  // namespace

std::shared_ptr<VmaArchive> VmaArchive::open(const FilePart& part, const std::string& path,
                                             const std::function<void(uint64_t)>& on_progress) {
  auto file = std::make_shared<VmaFile>(part, path);
  file->read(on_progress);
  return file;
}

}  // namespace images
