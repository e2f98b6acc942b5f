// How commands are told which point or instant VM is meant: sentences of their help texts.
#pragma once

namespace appliance::cli {

constexpr const char* kPointHelp =
    "POINT is an id, a unique prefix of one, MACHINE@latest, or MACHINE@TIME, which is the newest "
    "point at that time (UTC): web@2026-11-21T08:00.";

constexpr const char* kBootHelp =
    "BOOT is an id, a unique prefix of one, or the name of a machine that has just one instant VM.";

}  // namespace appliance::cli
