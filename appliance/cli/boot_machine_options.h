// The options that describe an instant VM, for `boot start` and `boot check`.
#pragma once

#include <nlohmann/json.hpp>

#include "base/program.h"

namespace appliance::cli {

// --network, --memory, --cpus, --disk-bus, --firmware, --fresh-macs.
void declare_machine(base::options::options_description_easy_init add);

// The values of those options, for the body of a request; the caller adds the point.
nlohmann::json machine_body(const base::Arguments& arguments);

}  // namespace appliance::cli
