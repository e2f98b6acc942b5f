#include "base/mount_points.h"

#include <set>
#include <sstream>

#include "base/text.h"

namespace base {
namespace {

// The second field of each line.
std::set<std::string> mount_points(std::string_view table) {
  std::set<std::string> found;
  for (const std::string& line : split(table, '\n')) {
    std::istringstream words{line};
    std::string device, place;
    if (words >> device >> place && !device.starts_with('#') && place.starts_with('/'))
      found.insert(place);
  }
  return found;
}

bool is_at_or_below(std::string_view path, std::string_view folder) {
  if (folder == "/") return true;
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

}  // namespace

std::optional<std::string> unmounted_above(std::string_view path, std::string_view fstab,
                                           std::string_view mounts) {
  std::set<std::string> mounted = mount_points(mounts);
  for (const std::string& place : mount_points(fstab)) {
    if (is_at_or_below(path, place) && !mounted.contains(place)) return place;
  }
  return std::nullopt;
}

}  // namespace base
