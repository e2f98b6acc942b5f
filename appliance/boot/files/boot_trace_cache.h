// The newest boot trace of each machine, in files TRACES/STORE-MACHINE.trace, used for prefetching
// at the next boot of any of its points. Derived data: a lost trace costs a slower boot.
// Thread-safe; of two writers of one machine the last one wins.
#pragma once

#include <string>
#include <string_view>

#include "images/ids.h"

namespace appliance::boot {

class BootTraceCache {
 public:
  // `directory` is created when the first trace is added; empty: nothing is kept.
  explicit BootTraceCache(std::string directory) : directory_(std::move(directory)) {}

  // Distinguishes machines of one name in two stores.
  static std::string key(const images::StoreId& store, const images::MachineId& machine);

  // The path of this machine's trace; empty if there is none, or no folder for traces.
  std::string find(std::string_view key) const;

  // Adds a recorded trace, if the file exists, and removes the file. The trace of a guest that was
  // known to be up is not replaced by one of a boot whose guest was not. A file that is not a trace
  // is removed. Durable when it returns; if the folder cannot be written, it keeps what it has.
  void take(std::string_view key, const std::string& recorded_path) const;

  void forget(std::string_view key) const;  // no error if there is none

 private:
  std::string path_of(std::string_view key) const;
  const std::string directory_;
};

}  // namespace appliance::boot
