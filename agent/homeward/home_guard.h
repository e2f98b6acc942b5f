// Keeps machines off on this host while they run as instant VMs on the appliance: the old copy must not
// come up beside the new one, also not when this host comes back from the dead (docs/failback.md).
//
// The appliance says which machines, in its answers to polls. That is remembered in a file for each
// (STATE/machines/HASH.kept-off), so that it holds from the start of the service on, before the first
// poll. libvirt's autostart of such a machine is switched off, and on again afterwards if it was on.
// A start is seen within kLookEvery and ended. What is not ended is a machine that has been running
// since before its instant VM was started: then a person chose to have both, and the appliance says so.
//
// A failback that ordered this host to start the machine lifts it, in the same file write that tells of
// the start (home_record.h).
//
// It has a thread, which looks at libvirt. Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agent/config.h"
#include "agent/libvirt/kept_domain.h"
#include "base/guarded.h"
#include "base/guarded_thread.h"

namespace agent::homeward {

// As the appliance says it.
struct KeptOffMachine {
  std::string machine;
  std::string boot;     // the instant VM
  uint64_t age_ms = 0;  // since the instant VM was first started
  uint64_t after = 0;   // only a later failback's start counts
};

// As the file has it.
struct KeptOff {
  KeptOffMachine wanted;
  std::string domain;
  bool autostart = false;      // it was on, and is to be on again
  bool is_tolerated = false;   // it has been running since before
  std::string host_boot;       // of the host, when it was tolerated
  uint64_t generation = 0;     // changes when the disks may have been written here
  uint64_t ended_count = 0;    // starts that were ended
  uint64_t last_ended_ms = 0;  // UTC
  std::string problem;         // why it cannot be kept off; not in the file
};

// Whether a machine that runs when this host learns that it must not is left alone.
bool began_before_instant_vm(uint64_t host_uptime_ms, uint64_t instant_vm_age_ms);

// Of the machine's kept-off file; 0 if there is none.
uint64_t kept_off_generation(const std::string& state_directory, std::string_view machine_name);

class HomeGuard {
 public:
  static constexpr std::chrono::milliseconds kLookEvery{250};

  // Reads the files, and begins at once.
  explicit HomeGuard(const Config& config);
  ~HomeGuard();

  // The complete list, of the appliance.
  void set(const std::vector<KeptOffMachine>& wanted);
  // What a poll says: docs/protocol.md, "Orders".
  nlohmann::json reports();

 private:
  struct State {
    std::map<std::string, KeptOff> kept;                // by machine
    std::optional<std::vector<KeptOffMachine>> wanted;  // not looked at by the thread yet
  };

  void run(const std::stop_token& stop);
  libvirt::KeptDomains& domains();  // throws what connecting throws
  void take(State& now);
  void look(KeptOff& kept);
  // False: try again.
  bool lift(const KeptOff& kept);
  void save(const KeptOff& kept) const;

  const Config& config_;
  std::optional<libvirt::KeptDomains> domains_;  // the thread's
  base::Guarded<State> state_;
  base::GuardedThread thread_;
};

}  // namespace agent::homeward
