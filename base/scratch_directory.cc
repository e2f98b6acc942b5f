#include "base/scratch_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "base/error.h"

namespace base {
namespace {

UniqueFd open_directory(const std::string& path) {
  return UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

// In a directory where everyone may create folders of any name, such as /tmp, only our own are ours
// to remove.
bool is_ours(const UniqueFd& directory, const std::string& parent) {
  struct stat status, above;
  if (::fstat(directory.get(), &status) != 0 || ::stat(parent.c_str(), &above) != 0) return false;
  return status.st_uid == ::geteuid() || (above.st_mode & S_IWOTH) == 0;
}

bool try_lock(const UniqueFd& directory) {
  return ::flock(directory.get(), LOCK_EX | LOCK_NB) == 0;
}

// False if another process took the new folder for an abandoned one before it was locked.
bool still_there(const std::string& path, const UniqueFd& directory) {
  struct stat by_name, by_fd;
  return ::stat(path.c_str(), &by_name) == 0 && ::fstat(directory.get(), &by_fd) == 0 &&
         by_name.st_ino == by_fd.st_ino;
}

}  // namespace

ScratchDirectory::ScratchDirectory(const std::string& parent, const std::string& prefix) {
  remove_abandoned_directories(parent, prefix);
  while (true) {
    std::string name = parent + "/" + prefix + "-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr)
      throw system_error(errno, "cannot create a folder in " + parent);
    UniqueFd directory = open_directory(name);
    if (!directory || !try_lock(directory) || !still_there(name, directory)) continue;
    path_ = name;
    lock_ = std::move(directory);
    return;
  }
}

ScratchDirectory::~ScratchDirectory() {
  if (!lock_) return;  // moved from
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void remove_abandoned_directories(const std::string& parent, const std::string& prefix) noexcept {
  try {
    std::error_code failed;
    for (const auto& entry : std::filesystem::directory_iterator(parent, failed)) {
      if (!entry.path().filename().string().starts_with(prefix + "-")) continue;
      UniqueFd directory = open_directory(entry.path().string());
      if (!directory || !is_ours(directory, parent) || !try_lock(directory)) continue;
      std::error_code ignored;
      std::filesystem::remove_all(entry.path(), ignored);
    }
  } catch (const std::exception&) {
    // The next owner removes what is left.
  }
}

}  // namespace base
