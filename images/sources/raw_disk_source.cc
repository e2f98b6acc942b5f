#include "images/sources/raw_disk_source.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "base/error.h"
#include "images/sources/image_locks.h"

namespace images {
namespace {

constexpr uint64_t kSectorSize = 512;

uint64_t content_size_of(int fd, const std::string& path) {
  struct stat status;
  if (::fstat(fd, &status) != 0) throw base::system_error(errno, "cannot examine " + path);
  if (S_ISREG(status.st_mode)) return static_cast<uint64_t>(status.st_size);
  uint64_t size = 0;
  if (!S_ISBLK(status.st_mode)) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      path + " is neither a file nor a block device");
  }
  if (::ioctl(fd, BLKGETSIZE64, &size) != 0)
    throw base::system_error(errno, "cannot measure " + path);
  return size;
}

}  // namespace

RawDiskSource::RawDiskSource(const std::string& path)
    : path_(path), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (!fd_) throw base::system_error(errno, "cannot open " + path);
  content_size_ = content_size_of(fd_.get(), path_);
  size_ = (content_size_ + kSectorSize - 1) / kSectorSize * kSectorSize;
}

bool RawDiskSource::has_writer() const { return has_qemu_writer(fd_.get()); }

std::vector<Extent> RawDiskSource::extents(uint64_t offset, uint64_t length) {
  CHECK(offset <= size_ && length <= size_ - offset);
  std::vector<Extent> found;
  for (uint64_t end = offset + length; offset < end;) {
    found.push_back(extent_at(offset, end));
    offset += found.back().length;
  }
  return found;
}

// The longest extent starting at `offset`, at most up to `end`.
Extent RawDiskSource::extent_at(uint64_t offset, uint64_t end) {
  if (!finds_holes_) return {offset, end - offset, ExtentKind::data};
  off_t data = ::lseek(fd_.get(), static_cast<off_t>(offset), SEEK_DATA);
  if (data < 0 && errno == ENXIO) return {offset, end - offset, ExtentKind::zero};
  if (data < 0) {
    // Block devices and some file systems do not support this: then everything is read.
    finds_holes_ = false;
    return {offset, end - offset, ExtentKind::data};
  }
  if (static_cast<uint64_t>(data) > offset) {
    return {offset, std::min(static_cast<uint64_t>(data), end) - offset, ExtentKind::zero};
  }
  off_t hole = ::lseek(fd_.get(), data, SEEK_HOLE);
  uint64_t data_end = hole <= data ? end : std::min(static_cast<uint64_t>(hole), end);
  return {offset, data_end - offset, ExtentKind::data};
}

void RawDiskSource::read(uint64_t offset, base::MutableByteView out) {
  CHECK(offset <= size_ && out.size() <= size_ - offset);
  while (!out.empty()) {
    if (offset >= content_size_) {
      std::fill(out.begin(), out.end(), uint8_t{0});
      return;
    }
    size_t wanted = std::min<uint64_t>(out.size(), content_size_ - offset);
    ssize_t count = ::pread(fd_.get(), out.data(), wanted, static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw base::system_error(errno, "cannot read " + path_);
    if (count == 0)
      throw base::Error(base::ErrorCode::io, path_ + " became shorter while it was being read");
    out = out.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
}

}  // namespace images
