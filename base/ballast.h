// A file that takes up space in advance. When a disk is completely full the file is deleted, so
// that essential work can continue (rows of the catalog, a deletion). Thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "base/guarded.h"

namespace base {

class Ballast {
 public:
  // The file, in an existing directory; nothing is done yet. `size` in bytes.
  Ballast(std::string path, uint64_t size) : path_(std::move(path)), size_(size) {}

  // Creates the file if it is missing and the disk has room for four of it. Never throws: without
  // room there is no ballast, and the next call tries again.
  void restore() noexcept;
  // Removes the file if otherwise less than half its size is free. True if it did. Never throws.
  bool ease() noexcept;

  bool is_there() const noexcept;

 private:
  const std::string path_;
  const uint64_t size_;
  Guarded<int> one_at_a_time_{0};  // held across I/O: two must not create the file at once
};

}  // namespace base
