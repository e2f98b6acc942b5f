#include "appliance/presence/first_start.h"

#include <fmt/format.h>

#include <fstream>
#include <sstream>

#include "appliance/pki/authority.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/mount_points.h"

namespace appliance::presence {
namespace {

using base::Error;
using base::ErrorCode;

std::string text_of(const char* path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

void require_state_folder(const Config& config) {
  base::FileSystem& files = base::real_file_system();
  if (config.make_missing || files.exists(config.catalog_path())) return;
  auto unmounted = base::unmounted_above(config.state_directory, text_of("/etc/fstab"),
                                         text_of("/proc/self/mounts"));
  if (unmounted) {
    throw Error(
        ErrorCode::unavailable,
        fmt::format("there is no catalog in {}, and nothing is mounted at {} though /etc/fstab "
                    "lists it: mount it, or start once with --init to create a new appliance here",
                    config.state_directory, *unmounted));
  }
  if (files.exists(base::join_path(config.pki_directory(), "ca.crt"))) {
    throw Error(
        ErrorCode::unavailable,
        fmt::format("{} has the keys of an appliance, but not its catalog: put {} back from a "
                    "backup, or start once with --init to create a new one",
                    config.state_directory, config.catalog_path()));
  }
}

void require_known_authority(const Config& config, catalog::Catalog& catalog) {
  if (config.make_missing) return;
  auto known = catalog.find_fact("authority");
  if (!known && catalog.hosts(catalog::TenantScope::all()).empty()) return;
  try {
    pki::require_authority(config.pki_directory(), known.value_or(""));
  } catch (const Error& error) {
    throw Error(error.code(), error.message() +
                                  "; if they are lost for good, start once with --init and enroll "
                                  "every host again");
  }
}

}  // namespace appliance::presence
