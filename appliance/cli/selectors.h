// How commands are told which point, instant VM or export is meant: sentences of their help texts.
#pragma once

#include "restore/point_help.h"

namespace appliance::cli {

using restore::kPointHelp;

constexpr const char* kBootHelp =
    "BOOT is an id, a unique prefix of one, or the name of a machine that has just one instant VM.";

constexpr const char* kExportHelp =
    "EXPORT is an OVA, OVF, VMX or VMA file, a folder with one of these or with what Hyper-V "
    "exported, or a VHD or VHDX file with its parents beside it. It becomes a whole machine: disks "
    "with their buses and order, firmware, CPUs, memory and network cards; what could not be kept "
    "is in the point's note.";

}  // namespace appliance::cli
