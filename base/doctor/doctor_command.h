// What the commands `muletto doctor` and `muletto-agent doctor` share: running checks and telling
// people or programs. Not thread-safe.
#pragma once

#include <vector>

#include "base/doctor/finding.h"
#include "base/program.h"

namespace base::doctor {

inline constexpr const char* kDoctorNotes =
    "Each line is ok, warn (it works, but not as well or as long as it should), fail, or unknown "
    "(it "
    "could not be checked, and why). Below it is what mends it. The exit code is 0 if nothing "
    "failed "
    "and everything could be checked, otherwise 1.";

// Prints each finding as it is known, or all as JSON; returns the exit code. A check that hangs is left
// behind, so the program ends with this: it does not wait for it.
int run_doctor(const Arguments& arguments, const std::vector<Check>& checks);

}  // namespace base::doctor
