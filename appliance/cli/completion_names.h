// The names that completion offers: what the appliance has.
#pragma once

#include <vector>

#include "base/program.h"

namespace appliance::cli {

// Asks the appliance that the words before name (--socket, --appliance, --tenant, …), or, for 'muletto
// store', the store. Empty for a kind that neither lists. Throws what ApiClient and StoreReader throw;
// may wait for the appliance as long as ApiClient waits.
std::vector<base::Candidate> completion_names(const base::NameRequest& request);

}  // namespace appliance::cli
