// The appliance as a host of its own: the identity under which it syncs the instant VMs of a
// tenant, with the agent program. One per tenant, in STATE/instant/TENANT: the agent's state
// folder, with its certificate (mode 0600) and its settings.
//
// Its name is reserved (catalog::kInternalHostName), so that the catalog can tell it from any
// enrolled host. It may write only machines whose timeline an instant VM holds; the ingest enforces
// that. Thread-safe, but two calls for one tenant must not run at the same time.
#pragma once

#include <string>

#include "appliance/catalog/host_records.h"
#include "appliance/pki/authority.h"

namespace appliance::instant {

struct InternalHostPaths {
  std::string state_directory;  // the agent's
  std::string run_directory;    // the agent's: for sockets
  std::string config_path() const { return state_directory + "/agent.toml"; }
};

struct InternalHostSettings {
  std::string appliance;    // HOST:PORT on which this daemon listens
  std::string libvirt_uri;  // where instant VMs run
};

// The tenant's internal host; creates it at the first call, and again if it was revoked. Its files
// contain `settings` when this returns. Throws as the catalog and the authority.
catalog::Host ensure_internal_host(catalog::HostRecords& catalog, const pki::Authority& authority,
                                   const catalog::TenantName& tenant,
                                   const InternalHostPaths& places,
                                   const InternalHostSettings& settings);

}  // namespace appliance::instant
