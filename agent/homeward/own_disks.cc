#include "agent/homeward/own_disks.h"

#include "base/error.h"
#include "base/log.h"

namespace agent::homeward {

using base::Error;

std::vector<std::string> own_disks(const Config& config) {
  std::vector<std::string> disks;
  for (const auto& [name, machine] : config.machines) {
    for (const auto& [disk, path] : machine.images) disks.push_back(path);
  }
  if (config.libvirt_uri.empty()) return disks;
  try {
    libvirt::Connection connection(config.libvirt_uri);
    for (const auto& summary : connection.domains()) {
      if (summary.is_instant_vm) continue;
      libvirt::Domain domain = connection.domain(summary.uuid);
      for (const DomainDisk& disk : domain_facts(domain.inactive_xml()).disks)
        disks.push_back(path_of(domain, disk));
    }
  } catch (const Error& error) {
    base::log().warn("libvirt cannot be asked for the disks of this host's machines: {}",
                     error.message());
  }
  std::erase(disks, "");
  return disks;
}

std::string path_of(const libvirt::Domain& domain, const DomainDisk& disk) {
  if (disk.path.empty() && !disk.volume.empty()) return domain.volume_path(disk.pool, disk.volume);
  return disk.path;
}

}  // namespace agent::homeward
