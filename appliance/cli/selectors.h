// How commands are told which point or instant VM is meant: sentences of their help texts.
#pragma once

#include "restore/point_help.h"

namespace appliance::cli {

using restore::kPointHelp;

constexpr const char* kBootHelp =
    "BOOT is an id, a unique prefix of one, or the name of a machine that has just one instant VM.";

}  // namespace appliance::cli
