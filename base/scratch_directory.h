// A private folder for sockets and temporary files that is removed with its owner. A killed owner
// cannot remove its folder; but the folder's lock ends with the process, so the next one recognises
// and removes it. Not thread-safe.
#pragma once

#include <string>

#include "base/unique_fd.h"

namespace base {

class ScratchDirectory {
 public:
  // Creates PARENT/PREFIX-XXXXXX, readable only by this user; PARENT exists. Removes what killed
  // owners left under this prefix. Throws as system_error.
  ScratchDirectory(const std::string& parent, const std::string& prefix);
  ScratchDirectory(ScratchDirectory&&) noexcept = default;
  ScratchDirectory& operator=(ScratchDirectory&&) = delete;
  ~ScratchDirectory();  // removes it with everything in it

  const std::string& path() const { return path_; }
  // The folder stays locked as long as this descriptor is open anywhere: a child that inherits it
  // also owns the folder.
  int lock_fd() const { return lock_.get(); }

 private:
  std::string path_;
  UniqueFd lock_;
};

// Removes the folders PARENT/PREFIX-* whose owners are gone; those of other users only if not
// everyone may create them. Never throws; what cannot be removed stays.
void remove_abandoned_directories(const std::string& parent, const std::string& prefix) noexcept;

}  // namespace base
