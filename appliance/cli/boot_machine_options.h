// The options that say what an instant VM is like: of `boot start` and `boot check`.
#pragma once

#include <nlohmann/json.hpp>

#include "base/program.h"

namespace appliance::cli {

// --network, --memory, --cpus, --disk-bus, --firmware, --fresh-macs.
void declare_machine(base::options::options_description_easy_init add);

// What these say, as fields of a request; without the point.
nlohmann::json machine_body(const base::Arguments& arguments);

}  // namespace appliance::cli
