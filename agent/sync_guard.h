// A small process beside every sync of a running machine. It has its own connection to the machine
// and also holds the machine's lock. If the agent dies, however that happens, its end of the socket
// closes, and the guard thaws the guest, ends the backup and removes what the sync made. If the
// agent hangs between freeze and thaw, or the guest takes too long to freeze, the guard thaws the
// guest after kLongestFreeze.
//
// The guard is this same program, started with kGuardWord as its first argument. Not thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/subprocess.h"
#include "base/unique_fd.h"

namespace agent {

constexpr char kGuardWord[] = "--sync-guard";
constexpr auto kLongestFreeze = std::chrono::seconds(10);

// A running machine as the guard needs it. Implementations: libvirt/guarded_domain.h,
// monitor/monitored_machine.h.
class GuardedMachine {
 public:
  virtual ~GuardedMachine() = default;
  virtual const std::string& name() const = 0;
  virtual bool running() const = 0;
  // Thaws its guest; no error if it is not frozen.
  virtual void thaw() = 0;
  // Removes everything that a sync of it left, also in its QEMU.
  virtual void remove_leftovers() = 0;
};

class SyncGuard {
 public:
  // Returns when the guard is ready. `machine` is the words from which the guard makes its
  // GuardedMachine; `lock_fd` is the machine's lock. Throws unavailable.
  SyncGuard(const std::vector<std::string>& machine, int lock_fd);
  // Without finished(): the guard cleans up now; waits for it.
  ~SyncGuard();
  SyncGuard(const SyncGuard&) = delete;
  SyncGuard& operator=(const SyncGuard&) = delete;

  void about_to_freeze();
  // False if the guard had to thaw the guest earlier.
  bool thawed();
  // The guard has nothing left to do; it ends.
  void finished();

 private:
  void say(char word);

  base::UniqueFd socket_;
  std::unique_ptr<base::Subprocess> process_;
};

using GuardedMachineMaker =
    std::function<std::unique_ptr<GuardedMachine>(const std::vector<std::string>& words)>;

// The guard itself: what main() returns when its first argument is kGuardWord.
int run_sync_guard(int argc, char** argv, const GuardedMachineMaker& make);

}  // namespace agent
