// Every decoder of bytes that reach the appliance from guests, hosts, browsers and people, as
// something a fuzzer can call; the store's are in fuzz_targets.h. A target may throw base::Error
// and nothing else. Functions; thread-safe.
#pragma once

#include "tests/fuzz/fuzz_targets.h"

namespace tests {

std::vector<images::FuzzTarget> appliance_targets();

}  // namespace tests
