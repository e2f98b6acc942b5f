// Whether mulettod may create an appliance in its state folder. If its disk is not mounted, the
// folder looks like that of a new machine: an appliance that initialised itself again would have a
// new authority, which no enrolled host trusts, and no points. So it does so only where nothing
// suggests that one exists:
//   - there is a catalog: nothing is created, it is opened;
//   - /etc/fstab says that the folder, or one above it, is a mount point, and nothing is mounted
//     there: refused;
//   - there are keys of an authority, but no catalog: part of an appliance is missing: refused;
//   - otherwise it is a new one.
// Likewise no authority is created if the catalog knows one. An operator who has lost them for good
// says so: mulettod --init. Functions; thread-safe.
#pragma once

#include "appliance/catalog/catalog.h"
#include "appliance/config.h"

namespace appliance::presence {

// Throws unavailable with the reason if it must not. Call it before anything is created.
void require_state_folder(const Config& config);

// Throws unavailable if the catalog knows an authority, or hosts that needed one, and it is not in
// its folder. Call it before the authority is opened.
void require_known_authority(const Config& config, catalog::Catalog& catalog);

}  // namespace appliance::presence
