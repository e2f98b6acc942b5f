// Ordered restores, each in a process of its own (`muletto-agent restore`), as ordered syncs are
// (agent/orders/sync_processes.h). To be used by one thread, which must be the last to end: the
// processes die with it.
#pragma once

#include <cstdint>
#include <list>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/subprocess.h"

namespace agent::homeward {

class RestoreProcesses {
 public:
  // Creates the folder, which only its owner may enter, or empties it. `command`: program, "restore",
  // options. Throws the error of the failed system call.
  RestoreProcesses(std::string directory, std::vector<std::string> command);

  // Starts the restore of an order that the appliance gave, unless it runs or has just ended. An order
  // that cannot be started has failed.
  void begin(const nlohmann::json& order);
  // Reports an order that is not begun as failed.
  void refuse(uint64_t order, const std::string& error);
  // Ends the process of an order; its outcome is reported as any other.
  void end(uint64_t order);

  // What a poll says of restores: those that run, and those that ended since forget_told().
  nlohmann::json reports();
  // The appliance has received the last reports().
  void forget_told();

  std::vector<int> descriptors() const;  // each readable when its restore has ended
  bool is_idle() const { return restores_.empty() && over_.empty(); }
  // Asks all to end, and waits for them; those that do not end are killed.
  void end_all();

 private:
  struct Restore {
    uint64_t order;
    std::string machine;
    std::string files;  // the paths of its files, without extensions
    base::Subprocess process;
  };
  void collect();

  const std::string directory_;
  const std::vector<std::string> command_;
  std::list<Restore> restores_;
  std::vector<nlohmann::json> over_;  // reports of those that ended
  size_t told_count_ = 0;             // of them, in the last reports()
};

}  // namespace agent::homeward
