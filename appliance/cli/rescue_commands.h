// The commands of the noun "rescue". Functions; thread-safe.
#pragma once

#include "base/program.h"

namespace appliance::cli {

base::Command rescue_code_command();
base::Command rescue_list_command();
base::Command rescue_revoke_command();

}  // namespace appliance::cli
