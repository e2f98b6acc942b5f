// The newest boot trace of each machine, in files TRACES/STORE-MACHINE.trace: what the next boot of
// any of its points reads ahead. Derived data: a trace that is lost costs a slower boot.
// Thread-safe; of two writers of one machine the last wins.
#pragma once

#include <string>
#include <string_view>

#include "images/ids.h"

namespace appliance::boot {

class BootTraceCache {
 public:
  // `directory` is made when the first trace comes; empty: nothing is kept.
  explicit BootTraceCache(std::string directory) : directory_(std::move(directory)) {}

  // Tells machines of one name in two stores apart.
  static std::string key(const images::StoreId& store, const images::MachineId& machine);

  // Where the trace of this machine lies; empty if there is none, or no shelf.
  std::string find(std::string_view key) const;

  // Takes a recorded trace, if the file is there, and removes it. The trace of a guest that was
  // seen to be of use is not replaced by one of a boot of which nobody knows that. A file that is
  // no trace is thrown away. Durable when it returns; a shelf that cannot be written keeps what it
  // has.
  void take(std::string_view key, const std::string& recorded_path) const;

  void forget(std::string_view key) const;  // no error if there is none

 private:
  std::string path_of(std::string_view key) const;
  const std::string directory_;
};

}  // namespace appliance::boot
