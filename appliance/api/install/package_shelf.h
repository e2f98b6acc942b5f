// The Debian packages in a folder, which hosts fetch from the appliance when they are enrolled. Whoever
// writes into the folder decides what hosts run as root, so only files of root that nobody else may
// change are served. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "base/guarded.h"

namespace appliance::api {

class PackageShelf {
 public:
  explicit PackageShelf(std::string directory) : directory_(std::move(directory)) {}

  // A line "SHA256  NAME" for each package, the file that changed last first. Empty if there is none, or
  // no folder. Sums are computed once for each file.
  std::string list();

  struct Package {
    uint64_t size = 0;                  // bytes
    std::function<std::string()> read;  // the next piece, empty at the end; owns the open file
  };
  // Throws not_found for what list() does not name.
  Package open(const std::string& name) const;

 private:
  struct Known {
    uint64_t size = 0;
    int64_t changed_ns = 0;
    std::string sum;
  };

  const std::string directory_;
  base::Guarded<std::map<std::string, Known>> sums_;  // by name
};

}  // namespace appliance::api
