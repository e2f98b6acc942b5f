// What a volume manager's command prints, as a table. Thread-safe.
#pragma once

#include <string>
#include <vector>

namespace agent {

// The lines that the command prints, each split at `separator` and without spaces around its
// fields; none if the command fails or is not installed. Throws what base::run_command() throws
// otherwise.
std::vector<std::vector<std::string>> command_rows(const std::vector<std::string>& command,
                                                   char separator);

}  // namespace agent
