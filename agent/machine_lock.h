// One sync of a machine at a time, on this host. Released when the process and all children that
// inherited it are gone. Not thread-safe.
#pragma once

#include <chrono>
#include <string>

#include "base/unique_fd.h"

namespace agent {

class MachineLock {
 public:
  // Waits at most `patience`: the guard of a killed sync may still be cleaning up. Throws busy.
  MachineLock(const std::string& state_directory, const std::string& machine_name,
              std::chrono::milliseconds patience = std::chrono::seconds(15));

  int fd() const { return fd_.get(); }

 private:
  base::UniqueFd fd_;
};

}  // namespace agent
