#include "agent/capture.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"

namespace agent {

std::vector<std::string> wanted_disks(const std::vector<std::string>& names,
                                      const CaptureSettings& settings) {
  auto has = [](const std::vector<std::string>& list, const std::string& name) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  for (const std::string& excluded : settings.excluded_disks) {
    if (has(names, excluded)) continue;
    throw base::Error(base::ErrorCode::not_found,
                      fmt::format("machine {} has no disk {} to exclude; it has {}",
                                  settings.machine_name, excluded, fmt::join(names, ", ")));
  }
  std::vector<std::string> wanted;
  for (const std::string& name : names) {
    if (!has(settings.excluded_disks, name)) wanted.push_back(name);
  }
  if (wanted.empty()) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      fmt::format("machine {} has no disk to capture", settings.machine_name));
  }
  return wanted;
}

}  // namespace agent
