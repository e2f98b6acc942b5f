// The commands of muletto-restore, one file each.
#pragma once

#include "base/program.h"
#include "images/store/store_reader.h"

namespace restore {

base::Command disk_command();
base::Command machine_command();
base::Command points_command();
base::Command files_list_command();
base::Command files_find_command();
base::Command files_get_command();
base::Command files_diff_command();

// --store, --key-file, --passphrase-file
void declare_store(base::options::options_description_easy_init add);
images::StoreReference store_of(const base::Arguments& arguments);
std::unique_ptr<images::StoreReader> open_store(const base::Arguments& arguments);

}  // namespace restore
