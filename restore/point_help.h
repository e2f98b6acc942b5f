// How every command is told which point is meant: a sentence of the help texts of muletto-restore
// and muletto.
#pragma once

namespace restore {

constexpr const char* kPointHelp =
    "POINT is an id, a unique prefix of one, MACHINE@latest, or MACHINE@TIME, which is the newest "
    "point at that time (UTC): web@2026-11-21T08:00.";

}  // namespace restore
