#include "tests/appliance/boot/file_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/unique_fd.h"

namespace appliance::boot {
namespace {

class FileDisk : public images::DiskReader {
 public:
  FileDisk(images::PointDisk disk, const std::string& path)
      : disk_(std::move(disk)), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (!fd_) throw base::system_error(errno, "cannot open " + path);
  }
  const images::PointDisk& disk() const override { return disk_; }
  uint64_t size() const override { return disk_.size; }
  void read(uint64_t offset, base::MutableByteView out) override {
    if (::pread(fd_.get(), out.data(), out.size(), static_cast<off_t>(offset)) !=
        static_cast<ssize_t>(out.size())) {
      throw base::system_error(errno, "cannot read disk " + disk_.name);
    }
  }
  // Chunk by chunk, by looking.
  std::vector<images::Extent> extents(uint64_t offset, uint64_t length) override {
    std::vector<images::Extent> extents;
    base::Bytes chunk;
    for (uint64_t end = offset + length; offset < end; offset += chunk.size()) {
      chunk.resize(std::min<uint64_t>(images::kDefaultChunkSize, end - offset));
      read(offset, chunk);
      images::ExtentKind kind =
          base::is_all_zero(chunk) ? images::ExtentKind::zero : images::ExtentKind::data;
      extents.push_back({offset, chunk.size(), kind});
    }
    return extents;
  }
  const images::ChunkHasher& hasher() const override { return hasher_; }
  std::vector<images::ChunkId> chunk_ids(uint64_t first_chunk, uint64_t count) override {
    std::vector<images::ChunkId> ids;
    base::Bytes chunk;
    for (uint64_t at = first_chunk; at < first_chunk + count; ++at) {
      chunk.assign(images::kDefaultChunkSize, 0);
      uint64_t offset = at * images::kDefaultChunkSize;
      read(offset,
           base::MutableByteView(chunk).first(std::min<uint64_t>(chunk.size(), size() - offset)));
      ids.push_back(base::is_all_zero(chunk) ? images::ChunkId{} : hasher_.id_of(chunk));
    }
    return ids;
  }

 private:
  images::PointDisk disk_;
  images::ChunkHasher hasher_{images::kDefaultChunkSize};
  base::UniqueFd fd_;
};

}  // namespace

FileStore::FileStore(std::string machine_name, images::MachineDefinition definition) {
  point_.id = images::PointId{{1, 2, 3, 4}};
  point_.machine_name = std::move(machine_name);
  point_.definition = std::move(definition);
}

void FileStore::add_disk(const std::string& name, const std::string& path) {
  images::PointDisk disk;
  disk.name = name;
  disk.size = std::filesystem::file_size(path);
  point_.disks.push_back(disk);
  paths_.push_back(path);
}

std::vector<images::PointSummary> FileStore::points() {
  images::PointSummary summary;
  summary.id = point_.id;
  summary.machine_name = point_.machine_name;
  return {summary};
}
std::vector<images::PointSummary> FileStore::points_of(std::string_view) { return points(); }
images::PointId FileStore::find_point(std::string_view) { return point_.id; }
images::Point FileStore::read_point(const images::PointId&) { return point_; }

std::unique_ptr<images::DiskReader> FileStore::open_disk(const images::PointId&,
                                                         std::string_view disk_name) {
  for (size_t i = 0; i < point_.disks.size(); ++i) {
    if (point_.disks[i].name == disk_name)
      return std::make_unique<FileDisk>(point_.disks[i], paths_[i]);
  }
  throw base::Error(base::ErrorCode::not_found, "no disk " + std::string(disk_name));
}

}  // namespace appliance::boot
