// One failback for people.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace appliance::cli {

void print_failback(const nlohmann::json& failback);

}  // namespace appliance::cli
