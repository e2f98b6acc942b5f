// The syncs that this host's appliance ordered and that are running, each in a process of its own,
// so that a failure of one does not affect the others. To be used by one thread, which must be the
// last to end: the processes die with it.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "base/subprocess.h"

namespace agent::daemon {

struct Outcome {
  uint64_t order = 0;
  bool succeeded = false;
  std::string error;  // one sentence
};

struct RunningSync {
  uint64_t order = 0;
  std::string machine;
  uint64_t done = 0;   // bytes
  uint64_t total = 0;  // bytes; 0: not known yet
};

class OrderBook {
 public:
  // `command` precedes MACHINE and the options for its files: program, "sync", options. `directory`
  // is emptied.
  OrderBook(std::vector<std::string> command, std::string directory);

  // Starts the sync; if it cannot be started, that is its outcome.
  void begin(uint64_t order, const std::string& machine);
  // Bytes per second for all syncs together; nullopt: no limit.
  void set_rate(std::optional<uint64_t> rate);

  std::vector<RunningSync> running() const;
  // Those that have ended since the last call.
  std::vector<Outcome> collect();
  std::vector<int> descriptors() const;  // each readable when its sync has ended

  // Asks all to end, and waits for them; those that do not end are killed.
  void end_all();

 private:
  struct Sync {
    uint64_t order;
    std::string machine;
    std::string files;  // the paths of its files, without extensions
    base::Subprocess process;
  };
  void share_rate();

  std::vector<std::string> command_;
  std::string directory_;
  std::optional<uint64_t> rate_;
  std::list<Sync> syncs_;
  std::vector<Outcome> over_;
};

}  // namespace agent::daemon
