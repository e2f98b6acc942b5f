// A store's figures as text for people.
#pragma once

#include <nlohmann/json.hpp>

namespace appliance::cli {

void print_store_figures(const nlohmann::json& store);

}  // namespace appliance::cli
