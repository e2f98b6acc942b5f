// The description of `muletto`: its commands, and what help, completion and manual pages say of them.
#pragma once

#include "base/program.h"

namespace appliance::cli {

base::Program operator_program();

}  // namespace appliance::cli
