// Notices that a file was written to, replaced or resized while it was read. For files of machines
// that are shut off: reading them must not keep their machine from being started, but then the copy
// is worth nothing. Values; thread-safe. Writes into a block device are not noticed.
#pragma once

#include <cstdint>
#include <string>

namespace agent {

class FileWitness {
 public:
  // Throws as system_error if the file is not there.
  explicit FileWitness(std::string path);
  // Throws busy, naming the file, if it is not what it was.
  void check() const;

 private:
  struct Look {
    uint64_t device = 0;
    uint64_t inode = 0;
    int64_t size = 0;
    int64_t modified_ns = 0;
    bool operator==(const Look&) const = default;
  };
  Look look() const;

  std::string path_;
  Look before_;
};

}  // namespace agent
