// Commands of `muletto` that work on the appliance's machine and ask no daemon, one file each.
#pragma once

#include "base/program.h"

namespace appliance::cli {

base::Command doctor_command();
base::Command appliance_backup_command();
base::Command appliance_restore_command();

}  // namespace appliance::cli
