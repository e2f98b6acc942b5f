// What a backup of the appliance holds, collected from a state folder and put into a new one:
//   catalog.sqlite          tenants, hosts, tokens, policies, points, verdicts, jobs
//   node-id                 which installation this is
//   pki/ca.crt, ca.key      the authority that all hosts are enrolled with
//   pki/server.crt, .key    what the appliance presents
//   keys/NAME               the keys of encrypted stores; only if the caller wants them
//   mulettod.toml           the settings, if there is such a file
// Not in it: stores, what instant VMs have written, reports and evidence. Functions; thread-safe.
#pragma once

#include <string>

#include "appliance/backup/backup_format.h"
#include "appliance/config.h"

namespace appliance::backup {

// Keys of stores never go into another tenant's store, so only a backup in a file holds them.
enum class StoreKeysIn { left_out, included };

// `settings_path`: the file that the settings came from; empty: none. Works while the daemon runs.
// Throws not_found without an appliance in the state folder, no_space (a copy of the catalog is made
// there), io.
Backup collect_backup(const Config& config, const std::string& settings_path, StoreKeysIn keys);

// Puts the content into the state folder, which must have no appliance; durable when it returns, and
// the catalog comes last, so that an interrupted restore is no appliance and can be repeated. Nothing
// but the names above is written. Throws already_exists, corrupt (a name that may not be there, or
// something missing), io.
void restore_backup(const Config& config, const Backup& backup);

}  // namespace appliance::backup
