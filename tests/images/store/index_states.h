// What LMDB may give back after a power cut. It does its own I/O, outside FileSystem, so a test
// stands in for it: the index may come back as any state it had durably committed, as none, or as a
// damaged file. The store has to find out and mend it. One thread.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace images {

class IndexStates {
 public:
  explicit IndexStates(std::string directory) : directory_(std::move(directory)) {}

  // Remembers the present state if it is a new one. Cheap when nothing was committed.
  void remember();

  // Puts a state that `random` chooses into `target`, which need not exist; returns what it was, in
  // words.
  std::string restore(const std::string& target, std::mt19937_64& random) const;

 private:
  static constexpr size_t kMostStates = 24;

  std::string directory_;
  std::vector<base::Bytes> states_;  // oldest first
};

}  // namespace images
