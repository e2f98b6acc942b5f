// What an answer could not determine: included with each list, so that an empty list never looks
// like health.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "appliance/api/routes/routes.h"

namespace appliance::api {

// What the answer was based on.
enum class Asked {
  store,    // the tenant's store
  libvirt,  // instant VMs
  all,      // everything the appliance needs
};

// A list of sentences; empty: everything could be queried.
nlohmann::json problems_json(Services& services, const catalog::TenantName& tenant, Asked asked);

// {"state", "problem", "since", "directory", "id", "encrypted", "missing_point_count"}
nlohmann::json store_standing_json(const stores::StoreStanding& standing);

// [{"name", "purpose", "ok", "problem", "since"}]
nlohmann::json needs_json(Services& services);

}  // namespace appliance::api
