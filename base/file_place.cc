#include "base/file_place.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"

namespace base {

FilePlace::FilePlace(std::string path) : path_(std::move(path)), identity_(look(path_)) {}

std::optional<FilePlace::Identity> FilePlace::look(const std::string& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return Identity{status.st_dev, status.st_ino};
}

bool FilePlace::is_current() const { return !identity_ || look(path_) == identity_; }

void expect_writable_directory(const std::string& path) {
  // The system reports a read-only file system even to root.
  if (::access(path.c_str(), W_OK | X_OK) == 0) return;
  int reason = errno;
  if (reason == EROFS)
    throw Error(ErrorCode::unavailable, "the file system of " + path + " is mounted read-only");
  throw system_error(reason, "cannot write to " + path);
}

}  // namespace base
