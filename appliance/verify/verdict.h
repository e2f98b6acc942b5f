// From evidence to a verdict: a pure function of what was observed and the time, so that every
// recorded test boot can be judged again.
#pragma once

#include <optional>
#include <vector>

#include "appliance/verify/evidence.h"

namespace appliance::verify {

// All in milliseconds. docs/verification.md explains the values.
struct VerdictLimits {
  uint64_t settle_up_ms = 2500;  // a sign of life counts if nothing contradicted it for this long
  uint64_t settle_failure_ms = 3000;  // so does a text that means failure; a panic counts at once
  // The UEFI shell waits 5 s before it runs a script that may start the system.
  uint64_t settle_shell_ms = 12'000;
  // A start that waits for a person (passphrase, menu, question) has waited for this long.
  uint64_t waiting_ms = 30'000;
  // From the first sign of life until everything required answers.
  uint64_t service_grace_ms = 60'000;
  uint64_t idle_grace_ms = 20'000;  // the same if the disks have been quiet all that time
  uint64_t disk_grace_ms = 20'000;  // how much longer a verdict waits for the check of the disks
  uint64_t still_ms = 45'000;       // no activity and no sign of life: it will not come up
  // The same for a guest that is on the network: systemd waits 90 s for a disk, and prints nothing.
  uint64_t still_on_network_ms = 100'000;
  // No sign of life, and nothing new: what still changes repeats itself.
  uint64_t stale_ms = 180'000;
  uint64_t total_ms = 900'000;
  uint32_t reboot_count = 3;  // an update restarts a machine once or twice
  // How long a passed test boot is still observed: a restart, an end or a panic revokes the pass.
  uint64_t watch_on_ms = 20'000;
};

// Nothing while there is no verdict yet. Everything that happened before `now_ms` is in the
// evidence; what happened since may be.
std::optional<Verdict> judge(const Evidence& evidence, const std::vector<Expectation>& expected,
                             const VerdictLimits& limits, uint64_t now_ms);

// The checks that answered after the last restart, and the volumes that were recognised: what the
// machine is known for if this is a pass.
std::vector<std::string> good_checks(const Evidence& evidence);

}  // namespace appliance::verify
