// A small process beside every sync of a running domain. It has its own connection to libvirt and
// also holds the machine's lock. If the agent dies, however that happens, its end of the socket
// closes, and the guard thaws the guest, ends the backup job and removes what the sync made. If the
// agent hangs between freeze and thaw, or the guest takes too long to freeze, the guard thaws the
// guest after kLongestFreeze.
//
// The guard is this same program, started with kGuardWord as its first argument. Not thread-safe.
#pragma once

#include <chrono>
#include <string>

#include "agent/libvirt/leftovers.h"
#include "base/subprocess.h"
#include "base/unique_fd.h"

namespace agent::libvirt {

constexpr char kGuardWord[] = "--sync-guard";
constexpr auto kLongestFreeze = std::chrono::seconds(10);

class SyncGuard {
 public:
  // Returns when the guard is ready. `lock_fd` is the machine's lock. Throws unavailable.
  SyncGuard(const std::string& uri, const Domain& domain, const SyncPlace& place, int lock_fd);
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

// The guard itself: what main() returns when its first argument is kGuardWord.
int run_sync_guard(int argc, char** argv);

}  // namespace agent::libvirt
