// The commands of muletto-restore, one file each.
#pragma once

#include <memory>
#include <stop_token>

#include "base/program.h"
#include "images/store/store_reader.h"

namespace restore {

base::Command disk_command();
base::Command machine_command();
base::Command points_command();
base::Command disks_command();
base::Command session_command();
base::Command files_list_command();
base::Command files_find_command();
base::Command files_get_command();
base::Command files_diff_command();

// Where the points are: --store, --key-file, --passphrase-file, or --appliance, --fingerprint,
// --token-file, --tenant.
void declare_store(base::options::options_description_easy_init add);
// Without a location if it is an appliance.
images::StoreReference store_of(const base::Arguments& arguments);
// `stop` ends waiting for an appliance that is gone. Throws what opening either throws.
std::unique_ptr<images::StoreReader> open_store(const base::Arguments& arguments,
                                                std::stop_token stop = {});

}  // namespace restore
