// What `muletto doctor` looks at on an appliance: everything that an instant VM or a sync will need,
// looked at itself instead of being asked of the daemon, which may be what does not work. Needs root,
// as the daemon does. Makes the list of checks; they run when they are called (base/doctor/finding.h).
#pragma once

#include <vector>

#include "appliance/config.h"
#include "base/doctor/finding.h"

namespace appliance::doctor {

// The checks own what they use.
std::vector<base::doctor::Check> appliance_checks(const Config& config);

}  // namespace appliance::doctor
