// The small state of a machine that is kept outside its disks, read from this host: "nvram", the
// UEFI variables, and "tpm", the emulated TPM's permanent state. Thread-safe.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "agent/domain_xml.h"
#include "base/bytes.h"

namespace agent {

// `tpm_directory` is where libvirt keeps emulated TPMs, a folder for each domain's UUID. Returns
// what exists; a file that cannot be read is logged and left out, since the disks alone are worth
// keeping.
std::vector<std::pair<std::string, base::Bytes>> read_state_files(const DomainFacts& facts,
                                                                  const std::string& domain_uuid,
                                                                  const std::string& tpm_directory);

}  // namespace agent
