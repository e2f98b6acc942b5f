// The permanent state of an emulated TPM that keeps it in one file or volume, as on Proxmox VE
// (swtpm's file backend): a table at its beginning tells where each state lies. The layout is that
// of swtpm's src/swtpm/swtpm_nvstore_linear.h, in little-endian order.
#pragma once

#include <string>

#include "base/bytes.h"

namespace agent::monitor {

// The state, as swtpm also keeps it in a file of its own (tpm2-00.permall). Throws corrupt.
base::Bytes permanent_state(base::ByteView store);

// Reads it from a file or block device. swtpm writes in place: what two reads do not agree on is
// read again. Throws not_found, corrupt, io, and busy if it changes all the time.
base::Bytes read_permanent_state(const std::string& path);

}  // namespace agent::monitor
