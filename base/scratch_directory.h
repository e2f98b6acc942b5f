// A private folder for sockets and temporary files that goes with its owner. A killed owner cannot
// remove its folder; but the folder's lock goes with the process, so the next one recognises and
// removes it. Not thread-safe.
#pragma once

#include <string>

#include "base/unique_fd.h"

namespace base {

class ScratchDirectory {
 public:
  // Makes PARENT/PREFIX-XXXXXX, readable by this user alone; PARENT exists. Removes what killed
  // owners left under this prefix. Throws as system_error.
  ScratchDirectory(const std::string& parent, const std::string& prefix);
  ScratchDirectory(ScratchDirectory&&) noexcept = default;
  ScratchDirectory& operator=(ScratchDirectory&&) = delete;
  ~ScratchDirectory();  // removes it with all it holds

  const std::string& path() const { return path_; }
  // Keeps the folder locked as long as it is open anywhere: a child that inherits it owns the
  // folder too.
  int lock_fd() const { return lock_.get(); }

 private:
  std::string path_;
  UniqueFd lock_;
};

// Removes the folders PARENT/PREFIX-* whose owners are gone; other users' only where not everybody
// may make them. Never throws; what cannot be removed stays.
void remove_abandoned_directories(const std::string& parent, const std::string& prefix) noexcept;

}  // namespace base
