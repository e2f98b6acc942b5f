// One instant VM as text for people.
#pragma once

#include <nlohmann/json.hpp>

namespace appliance::cli {

void print_boot(const nlohmann::json& boot);

}  // namespace appliance::cli
