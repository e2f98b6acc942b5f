// Whether mulettod may make an appliance in its state folder. A disk that is not mounted looks like
// a new machine: an appliance that made itself again there would have a new authority, which no
// enrolled host trusts, and no point. So it makes itself only where nothing speaks against it:
//   - there is a catalog: nothing is made, it is opened;
//   - /etc/fstab says that the folder, or one above it, is a mount point, and nothing is mounted
//     there: refused;
//   - there are keys of an authority, but no catalog: part of an appliance is missing: refused;
//   - else it is a new one.
// Likewise no authority is made where the catalog knows one. An operator who has lost them for good
// says so: mulettod --init. Functions; thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "appliance/catalog/catalog.h"
#include "appliance/config.h"

namespace appliance::presence {

// Throws unavailable with what speaks against it. Before anything is made.
void expect_state_folder(const Config& config);

// Throws unavailable if the catalog knows an authority, or hosts that one was needed for, and it is
// not in its folder. Before the authority is opened.
void expect_known_authority(const Config& config, catalog::Catalog& catalog);

// The mount point above or at `path` that `fstab` lists and `mounts` (/proc/self/mounts) does not.
std::optional<std::string> unmounted_above(std::string_view path, std::string_view fstab,
                                           std::string_view mounts);

}  // namespace appliance::presence
