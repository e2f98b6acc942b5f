#include "images/sources/file_change_detector.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/error.h"
#include "images/sources/image_locks.h"

namespace images {

FileChangeDetector::FileChangeDetector(std::string path)
    : path_(std::move(path)), fd_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)),
      before_(look()) {
  if (!fd_) throw base::system_error(errno, "cannot open " + path_);
}

FileChangeDetector::Look FileChangeDetector::look() const {
  struct stat status;
  if (::stat(path_.c_str(), &status) != 0)
    throw base::system_error(errno, "cannot examine " + path_);
  Look look;
  look.device = status.st_dev;
  look.inode = status.st_ino;
  look.size = status.st_size;
  // Not the change time: locks and labels change that. A writer cannot avoid changing this one.
  look.modified_ns = int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
  return look;
}

void FileChangeDetector::check() const {
  if (has_qemu_writer(fd_.get())) {
    throw base::Error(
        base::ErrorCode::busy,
        fmt::format(
            "{} is open for writing in another QEMU or qemu-nbd, which may change it at any "
            "time (a paused machine, too); capture the machine that uses it",
            path_));
  }
  if (look() == before_) return;
  throw base::Error(
      base::ErrorCode::busy,
      fmt::format("{} was written to while it was read; nothing was saved, try again", path_));
}

}  // namespace images
