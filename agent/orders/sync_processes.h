// Ordered syncs, each in a process of its own (`muletto-agent sync`), so that a failure of one does
// not affect the others. Used by `muletto-agent run` for the orders of its appliance, and by the
// appliance for its instant VMs.
//
// To be used by one thread, which must be the last to end: the processes die with it.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "base/subprocess.h"

namespace agent::orders {

struct SyncOutcome {
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

// A sync to be started.
struct SyncOrder {
  uint64_t order = 0;
  std::string machine;
  std::vector<std::string> command;  // program, "sync", options; its files and MACHINE follow
};

class SyncProcesses {
 public:
  // Creates the folder, which only its owner may enter, or empties it. Throws the error of the
  // failed system call. `what` precedes the machine in the log: "", or "the instant VM of ".
  explicit SyncProcesses(std::string directory, std::string what = "");

  // Starts the sync; if it cannot be started, that is its outcome.
  void begin(const SyncOrder& order);
  // Adds an outcome for an order whose sync is not started.
  void refuse(uint64_t order, const std::string& error);
  // Bytes per second for all syncs together; nullopt: no limit.
  void set_rate(std::optional<uint64_t> rate);

  std::vector<RunningSync> running() const;
  // Those that have ended since the last call.
  std::vector<SyncOutcome> collect();
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

  const std::string directory_;
  const std::string what_;
  std::optional<uint64_t> rate_;
  std::list<Sync> syncs_;
  std::vector<SyncOutcome> over_;
};

}  // namespace agent::orders
