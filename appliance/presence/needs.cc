#include "appliance/presence/needs.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string_view>

#include "appliance/pki/authority.h"
#include "base/error.h"
#include "base/file_place.h"
#include "base/file_system.h"
#include "base/text.h"
#include "images/export/export_process.h"

namespace appliance::presence {
namespace {

using base::Error;
using base::ErrorCode;

constexpr uint64_t kLibvirtGraceMs = 10'000;

void require_file(const std::string& path, std::string_view remedy) {
  if (::access(path.c_str(), R_OK) == 0) return;
  throw Error(ErrorCode::unavailable, fmt::format("{} cannot be read; {}", path, remedy));
}

void require_program(std::string_view name, std::string_view package) {
  const char* path = std::getenv("PATH");
  std::string folders = path == nullptr ? "/usr/sbin:/usr/bin:/sbin:/bin" : path;
  for (const std::string& folder : base::split(folders, ':')) {
    if (::access(base::join_path(folder, std::string(name)).c_str(), X_OK) == 0) return;
  }
  throw Error(
      ErrorCode::unavailable,
      fmt::format("the program {} is not installed; install the package {}", name, package));
}

Need program(std::string name, std::string purpose, std::string package) {
  Need need{name, std::move(purpose), 30'000, 0, {}};
  need.check = [name = std::move(name), package = std::move(package)] {
    require_program(name, package);
  };
  return need;
}

// The folder is the same as when the daemon started, and can be written to.
Need folder(std::string name, const std::string& path, std::string purpose) {
  Need need{std::move(name), std::move(purpose), 2000, 0, {}};
  auto place = std::make_shared<base::FilePlace>(path);
  need.check = [place] {
    if (!place->is_current()) {
      throw Error(
          ErrorCode::unavailable,
          fmt::format("{} is not the folder that it was when mulettod started: mount its disk "
                      "again, or restart mulettod once the right one is mounted",
                      place->path()));
    }
    base::expect_writable_directory(place->path());
  };
  return need;
}

std::vector<Need> files_and_programs(const NeedSources& sources) {
  const Config& config = sources.config;
  std::vector<Need> needs;
  needs.push_back(
      folder("state folder", config.state_directory, "catalog, instant VMs, evidence and reports"));
  needs.push_back(folder("run folder", config.run_directory, "instant VMs and the local API"));
  Need keys{"keys", "enrolment of hosts, and no restart", 10'000, 0, {}};
  keys.check = [directory = config.pki_directory(), fingerprint = sources.fingerprint] {
    pki::require_authority(directory, fingerprint);
  };
  needs.push_back(std::move(keys));
  Need plugin{"nbdkit plugin", "instant VMs, test boots and restores over NBD", 30'000, 0, {}};
  plugin.check = [] { require_file(images::default_plugin_path(), "install Muletto again"); };
  needs.push_back(std::move(plugin));
  Need console{"noVNC", "consoles in the browser", 30'000, 0, {}, false};
  console.check = [path = config.novnc_directory + "/core/rfb.js"] {
    require_file(path, "install the package novnc, or set console.novnc_directory");
  };
  needs.push_back(std::move(console));
  needs.push_back(program("nbdkit", "instant VMs and test boots", "nbdkit"));
  needs.push_back(program("qemu-img", "instant VMs and test boots", "qemu-utils"));
  needs.push_back(program("tesseract", "reading of screens by test boots", "tesseract-ocr"));
  return needs;
}

}  // namespace

std::vector<std::vector<Need>> needs_of(const NeedSources& sources) {
  return {{{"stores", "picking up stores that are back", 2000, 0, sources.look_at_stores}},
          {{"libvirt", "instant VMs and test boots", 2000, kLibvirtGraceMs, sources.ask_libvirt}},
          {{"alerts", "alerts, retention and checks", 2000, 0, sources.expect_alerts_settled}},
          files_and_programs(sources)};
}

}  // namespace appliance::presence
