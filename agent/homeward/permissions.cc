#include "agent/homeward/permissions.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"

namespace agent::homeward {
namespace {

using base::Error;
using base::ErrorCode;
namespace fs = std::filesystem;

std::string normal(const std::string& path) {
  std::string text = fs::path(path).lexically_normal().string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

bool is_within(const std::string& path, const std::string& folder) {
  return path == folder || path.starts_with(folder == "/" ? folder : folder + "/");
}

// Without links, as far as it exists.
std::string resolved(const std::string& path) {
  std::error_code failed;
  fs::path found = fs::weakly_canonical(path, failed);
  if (failed) throw Error(ErrorCode::not_found, "cannot follow " + path + ": " + failed.message());
  return found.string();
}

bool is_block_device(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISBLK(status.st_mode);
}

}  // namespace

Permissions::Permissions(const Config& config, std::vector<std::string> own_disks)
    : allowed_(config.restores) {
  for (const std::string& folder : config.restore_directories) folders_.push_back(normal(folder));
  for (const std::string& disk : own_disks) own_disks_.push_back(normal(disk));
}

void Permissions::require_any() const {
  if (allowed_) return;
  throw Error(ErrorCode::unauthorized,
              "the settings of this host's agent forbid restores (restores = false in agent.toml)");
}

std::string Permissions::require(const std::string& path) const {
  require_any();
  std::string given = normal(path), real = resolved(given);
  if (std::find(own_disks_.begin(), own_disks_.end(), given) != own_disks_.end()) return real;
  bool is_device = is_block_device(real);
  for (const std::string& folder : folders_) {
    if (!is_within(given, folder)) continue;
    if (is_device || is_within(real, resolved(folder))) return real;
  }
  throw Error(
      ErrorCode::unauthorized,
      fmt::format("{} may not be written by a restore: this host's agent allows {}, and the disks "
                  "its own machines have; see restore_directories in agent.toml",
                  path,
                  folders_.empty() ? "no folder" : fmt::format("{}", fmt::join(folders_, ", "))));
}

}  // namespace agent::homeward
