// Where libvirt keeps the state of an emulated TPM 2.0, and how to place a captured one there:
// libvirt names the folder by the domain's UUID, uses what it finds, and gives it to swtpm's user
// itself when the domain starts. Functions; thread-safe for different folders.
#pragma once

#include <string>

#include "base/bytes.h"

namespace appliance::boot {

// "DIRECTORY/UUID": everything of one TPM.
std::string tpm_folder(const std::string& tpm_directory, const std::string& domain_uuid);

// Durable when it returns. Throws already_exists if there is a TPM in the folder: it belongs to
// another machine.
void install_tpm_state(const std::string& folder, base::ByteView state);

// No error if there is none.
void remove_tpm_folder(const std::string& folder);

}  // namespace appliance::boot
