#include "agent/cli/commands.h"
#include "agent/cli/common_options.h"
#include "agent/libvirt/domain.h"
#include "base/error.h"

namespace agent::cli {

std::vector<base::Candidate> completion_names(const base::NameRequest& request) {
  std::vector<base::Candidate> names;
  if (request.kind != "MACHINE" && request.kind != "DOMAIN") return names;
  Config config = common_config(request.arguments);
  if (request.kind == "MACHINE") {
    for (const auto& [name, machine] : config.machines)
      names.push_back({name, "machine of the settings"});
  }
  try {
    for (const auto& domain : libvirt::Connection(config.libvirt_uri).domains()) {
      if (request.kind == "MACHINE" && config.machines.contains(domain.name)) continue;
      names.push_back({domain.name, domain.running ? "running" : "shut off"});
    }
  } catch (const base::Error&) {
    // A host of image files only has no libvirt.
  }
  return names;
}

}  // namespace agent::cli
