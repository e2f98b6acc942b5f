// Which file or folder a name referred to when it was checked: its device and inode. If a disk is
// unmounted, or mounted over, the name no longer refers to what is already open; code that writes
// by name asks here first. Immutable; thread-safe.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>

namespace base {

class FilePlace {
 public:
  // A name that refers to nothing now (a file system in memory, in tests) is never considered
  // changed.
  explicit FilePlace(std::string path);

  // Whether the name still refers to the same file.
  bool is_current() const;
  const std::string& path() const { return path_; }

 private:
  using Identity = std::pair<dev_t, ino_t>;
  static std::optional<Identity> look(const std::string& path);

  std::string path_;
  std::optional<Identity> identity_;
};

// Throws unavailable for a folder on a file system that is mounted read-only, unauthorized or io
// for one that this process may not write to, not_found if there is none.
void expect_writable_directory(const std::string& path);

}  // namespace base
