#include "base/ballast.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file_system.h"
#include "base/log.h"
#include "base/unique_fd.h"

namespace base {
namespace {

// Free space including what is reserved for root: the daemon is root, and so are the programs that
// fill its disk.
uint64_t free_beside(const std::string& path) {
  struct statvfs space;
  if (::statvfs(parent_path(path).c_str(), &space) != 0) return 0;
  return uint64_t{space.f_bfree} * space.f_frsize;
}

}  // namespace

bool Ballast::is_there() const noexcept { return ::access(path_.c_str(), F_OK) == 0; }

void Ballast::restore() noexcept {
  try {
    auto lock = one_at_a_time_.lock();
    if (size_ == 0 || is_there() || free_beside(path_) < 4 * size_) return;
    std::string unfinished = path_ + ".new";
    UniqueFd file(::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    bool made = file && ::posix_fallocate(file.get(), 0, static_cast<off_t>(size_)) == 0 &&
                ::rename(unfinished.c_str(), path_.c_str()) == 0;
    if (!made) ::unlink(unfinished.c_str());
  } catch (const std::exception& error) {
    log().warn("{} was not made: {}", path_, error.what());
  }
}

bool Ballast::ease() noexcept {
  try {
    auto lock = one_at_a_time_.lock();
    if (!is_there() || free_beside(path_) >= size_ / 2) return false;
    if (::unlink(path_.c_str()) != 0) return false;
    log().warn("the disk is full: {} was deleted, so that deletions and stops still work", path_);
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace base
