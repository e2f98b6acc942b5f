// Files of a point as text for people, from the JSON that images/files/node_json.h makes. Shared by
// `muletto files` and `muletto-restore files`. Pure functions.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace restore {

// How the commands are told which file is meant, for their help.
constexpr const char* kFileHelp =
    "PLACE is VOLUME:/PATH, such as vda1:/etc/fstab or vg0/root:/home; /PATH alone is enough where "
    "the "
    "point has one file system, and without PLACE the file systems are listed. Names are printed "
    "so "
    "that they can be typed again: a byte that is no printable text is %XX, and '%' is %25.";

// "-rw-r--r--  1000:1000   1.5 KiB  2026-11-28 16:00:00  name -> target"
std::string file_line(const nlohmann::json& node);
// A line for each file system, then what cannot be read and why.
std::string volumes_text(const nlohmann::json& found);
// "added    path", "changed  path (size, modified)"
std::string change_line(const nlohmann::json& change);

}  // namespace restore
