#include "agent/command_rows.h"

#include <sstream>

#include "base/error.h"
#include "base/subprocess.h"
#include "base/text.h"

namespace agent {

std::vector<std::vector<std::string>> command_rows(const std::vector<std::string>& command,
                                                   char separator) {
  base::CommandResult result;
  try {
    result = base::run_command(command);
  } catch (const base::Error& error) {
    if (error.code() == base::ErrorCode::not_found) return {};
    throw;
  }
  std::vector<std::vector<std::string>> rows;
  if (result.status != 0) return rows;
  std::istringstream lines(result.output);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    rows.emplace_back();
    for (std::string field; std::getline(fields, field, separator);)
      rows.back().push_back(base::trim(field));
  }
  return rows;
}

}  // namespace agent
