// Alerts about stores with problems. A pure function.
#pragma once

#include <vector>

#include "appliance/alerts/conditions.h"
#include "appliance/stores/store_standing.h"

namespace appliance::presence {

std::vector<alerts::Condition> store_conditions(const std::vector<stores::StoreStanding>& stores);

// What people are told next to the points of such a store; empty: nothing.
std::string lost_points_sentence(const stores::StoreStanding& store);

}  // namespace appliance::presence
