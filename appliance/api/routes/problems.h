// What an answer could not know: beside each list, so that an empty one never stands for health.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "appliance/api/routes/routes.h"

namespace appliance::api {

// What the answer was made from.
enum class Asked {
  store,    // the tenant's store
  libvirt,  // instant VMs
  all,      // everything the appliance needs
};

// A list of sentences; empty: all could be asked.
nlohmann::json problems_json(Services& services, const std::string& tenant, Asked asked);

// {"state", "problem", "since", "directory", "id", "encrypted", "missing_point_count"}
nlohmann::json store_standing_json(const stores::StoreStanding& standing);

// [{"name", "purpose", "ok", "problem", "since"}]
nlohmann::json needs_json(Services& services);

}  // namespace appliance::api
