// The options that say what to wait for: --http, --tcp, --timeout.
#pragma once

#include <nlohmann/json.hpp>

#include "base/program.h"

namespace appliance::cli {

void declare_wait(base::options::options_description_easy_init add);

// The body of boots/{boot}/wait; empty if none of the options were given.
nlohmann::json wait_body(const base::Arguments& arguments);

}  // namespace appliance::cli
