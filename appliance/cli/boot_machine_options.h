// The options that say what an instant VM is like: of `boot start` and `boot check`.
#pragma once

#include <nlohmann/json.hpp>

#include "base/program.h"

namespace appliance::cli {

// --network, --memory, --cpus, --disk-bus, --firmware, --fresh-macs.
void declare_machine(base::options::options_description_easy_init add);

// What those options say, for the body of a request; its point is the caller's to add.
nlohmann::json machine_body(const base::Arguments& arguments);

}  // namespace appliance::cli
