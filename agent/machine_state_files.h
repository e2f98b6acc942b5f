// The small state of a machine that is kept outside its disks, read from this host: "nvram", the
// UEFI variables as the flash chip's plain content, and "tpm", the emulated TPM's permanent state.
// Thread-safe.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "agent/capture.h"
#include "agent/domain_xml.h"
#include "base/bytes.h"

namespace agent {

struct MachineStateFiles {
  std::vector<std::pair<std::string, base::Bytes>> files;
  // What the machine has and the point does not, each with the reason; for the point's note.
  std::vector<std::string> missing;
};

// `facts` of the machine, for its name and UUID. Variables in a qcow2 image are turned into their
// plain content. If the definition does not say where they are, they are looked for where libvirt
// puts them. A file that cannot be read is logged and left out, since the disks alone are worth
// keeping.
MachineStateFiles read_state_files(const DomainFacts& facts, const std::string& domain_name,
                                   const std::string& domain_uuid, const CaptureSettings& settings);

}  // namespace agent
