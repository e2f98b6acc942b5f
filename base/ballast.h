// A file that takes up space, so that there is some to be had when a disk is full to the last byte:
// then it is given up, and what must go on goes on (a catalog's rows, a deletion). Thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "base/guarded.h"

namespace base {

class Ballast {
 public:
  // The file, in a directory that exists; nothing is done yet. `size` in bytes.
  Ballast(std::string path, uint64_t size) : path_(std::move(path)), size_(size) {}

  // Makes the file if it is not there and the disk has room for four of it. Never throws: without
  // room there is no ballast, and the next call tries again.
  void restore() noexcept;
  // Removes the file if less than half its size is free otherwise. True if it did. Never throws.
  bool ease() noexcept;

  bool is_there() const noexcept;

 private:
  const std::string path_;
  const uint64_t size_;
  Guarded<int> one_at_a_time_{0};  // held across I/O: two must not make the file at once
};

}  // namespace base
