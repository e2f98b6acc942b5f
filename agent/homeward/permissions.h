// What an order of the appliance may write on this host. The host's own settings decide: a stolen
// appliance, or a mistake on it, must not be able to overwrite /etc. Immutable; thread-safe.
#pragma once

#include <string>
#include <vector>

#include "agent/config.h"

namespace agent::homeward {

class Permissions {
 public:
  // `own_disks`: paths of the disks of this host's machines, which are allowed besides the folders
  // of the settings (restore_directories).
  Permissions(const Config& config, std::vector<std::string> own_disks);

  // Throws unauthorized if the settings forbid all restores.
  void require_any() const;

  // Throws unauthorized, with what is allowed, unless `path` (absolute, normal) may be written. Names
  // are followed: a symbolic link that leads out of the allowed folders is refused; but a block
  // device may be named by any link in them. Returns the path to be opened, without links.
  std::string require(const std::string& path) const;

 private:
  bool allowed_ = true;
  std::vector<std::string> folders_;    // absolute, normal; also single files and devices
  std::vector<std::string> own_disks_;  // the same
};

}  // namespace agent::homeward
