// Detects that a file was written to, replaced or resized while it was read. For files of machines
// that are shut off: reading them must not prevent starting the machine, but if it is started the
// copy is invalid. Values; thread-safe. Writes into a block device are not detected.
#pragma once

#include <cstdint>
#include <string>

namespace agent {

class FileChangeDetector {
 public:
  // Throws as system_error if the file does not exist.
  explicit FileChangeDetector(std::string path);
  // Throws busy, naming the file, if it has changed.
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
