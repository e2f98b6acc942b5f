// From evidence to a verdict: a pure function of what was seen and how late it is, so that every
// recorded test boot can be judged again.
#pragma once

#include <optional>
#include <vector>

#include "appliance/verify/evidence.h"

namespace appliance::verify {

// All in milliseconds. docs/verification.md says why they are what they are.
struct VerdictLimits {
  uint64_t settle_up_ms = 2500;       // a sign of life counts when nothing spoke against it so long
  uint64_t settle_failure_ms = 3000;  // so does a text that means failure; a panic counts at once
  uint64_t service_grace_ms = 60'000;  // from the first sign of life until what is demanded answers
  uint64_t idle_grace_ms = 20'000;     // the same when the disks have been quiet all that time
  uint64_t disk_grace_ms = 20'000;     // what a verdict waits longer for the check of the disks
  uint64_t still_ms = 45'000;  // nothing moves and there is no sign of life: it will not come
  // The same for one that is on the network: systemd waits 90 s for a disk, and says nothing.
  uint64_t still_on_network_ms = 100'000;
  uint64_t total_ms = 900'000;
  uint32_t reboot_count = 3;  // an update restarts a machine once or twice
  // A pass is watched on for so long: a restart, an end or a panic takes it back.
  uint64_t watch_on_ms = 20'000;
};

// Nothing while it cannot be said yet. All that happened before `now_ms` is in the evidence; what
// happened since may be.
std::optional<Verdict> judge(const Evidence& evidence, const std::vector<Expectation>& expected,
                             const VerdictLimits& limits, uint64_t now_ms);

// The checks that answered after the last restart, and the volumes that were recognised: what the
// machine is known for if this is a pass.
std::vector<std::string> good_checks(const Evidence& evidence);

}  // namespace appliance::verify
