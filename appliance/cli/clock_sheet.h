// The appliance's clock as `clock show` and `clock accept` print it.
#pragma once

#include <nlohmann/json.hpp>

namespace appliance::cli {

void print_clock(const nlohmann::json& clock);  // the API's `clock`

}  // namespace appliance::cli
