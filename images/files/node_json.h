// The JSON of files, as the API and the command lines print it. docs/api/openapi.yaml is normative
// for the fields. Pure functions.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "images/files/comparison.h"
#include "images/files/node.h"

namespace images::files {

std::string_view kind_name(NodeKind kind);  // "file", "folder", "link", …
// "2026-11-28T16:00:00.123456789Z"; empty for a time that is not known (1970 itself).
std::string time_text_of(const FileTime& time);

// `name` are bytes; a path where that is what is listed.
nlohmann::json node_json(const std::string& name, const Node& node);
nlohmann::json found_json(const FoundFileSystems& found);
nlohmann::json change_json(const Change& change);

}  // namespace images::files
