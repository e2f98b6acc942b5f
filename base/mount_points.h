// Mount points as text: of /etc/fstab and /proc/self/mounts. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace base {

// The mount point at or above `path` that `fstab` lists and `mounts` does not.
std::optional<std::string> unmounted_above(std::string_view path, std::string_view fstab,
                                           std::string_view mounts);

}  // namespace base
