// Which file or folder a name meant when it was looked at: its device and inode. A disk that is
// unmounted, or mounted over, takes the name away from what is already open; whoever writes by name
// asks here first. Immutable; thread-safe.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>

namespace base {

class FilePlace {
 public:
  // A name that means nothing now (a file system in memory, in tests) is never taken to have
  // changed.
  explicit FilePlace(std::string path);

  // Whether the name still means the same file.
  bool is_current() const;
  const std::string& path() const { return path_; }

 private:
  using Identity = std::pair<dev_t, ino_t>;
  static std::optional<Identity> look(const std::string& path);

  std::string path_;
  std::optional<Identity> identity_;
};

// Throws unavailable for a folder below a file system that is mounted read-only, unauthorized or
// io for one that this process may not write to, not_found for none.
void expect_writable_directory(const std::string& path);

}  // namespace base
