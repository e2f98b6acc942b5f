// Detects that a file was written to, replaced or resized while it was read, or that a QEMU has it
// open for writing. For files of machines that are shut off: reading them must not prevent starting
// the machine, but if one is started the copy is invalid. Movable; not thread-safe. Writes into a
// block device by programs other than QEMU are not detected.
#pragma once

#include <cstdint>
#include <string>

#include "base/unique_fd.h"

namespace images {

class FileChangeDetector {
 public:
  // Throws as system_error if the file does not exist.
  explicit FileChangeDetector(std::string path);
  // Throws busy, naming the file, if it has changed, or if somebody may change it: another machine
  // uses it, running or paused, or a qemu-nbd exports it writable.
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
  base::UniqueFd fd_;  // for its locks
  Look before_;
};

}  // namespace images
