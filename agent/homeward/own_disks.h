// The disks of this host's own machines. Functions are thread-safe.
#pragma once

#include <string>
#include <vector>

#include "agent/config.h"
#include "agent/domain_xml.h"
#include "agent/libvirt/domain.h"

namespace agent::homeward {

// Paths of the disks of all machines: those of the settings, and libvirt's domains. What libvirt does
// not tell is left out, and logged.
std::vector<std::string> own_disks(const Config& config);

// Where the disk lies, also if it is a volume of a storage pool.
std::string path_of(const libvirt::Domain& domain, const DomainDisk& disk);

}  // namespace agent::homeward
