// What a restore's process tells the service that started it, in a small file that is replaced as a
// whole: its standing, and at the end its error. Failures to write are ignored: no data depends on it.
// Functions are thread-safe.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "agent/homeward/host_restore.h"

namespace agent::homeward {

// The fields of a restore in a poll (docs/protocol.md, "Orders"), without order, state and error.
nlohmann::json standing_json(const RestoreStanding& standing);

void write_report_file(const std::string& path, const nlohmann::json& report);
// An empty object if there is none yet.
nlohmann::json read_report_file(const std::string& path);

}  // namespace agent::homeward
