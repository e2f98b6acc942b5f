// A machine that another hypervisor exported, captured from the export: docs/imports.md. Nothing
// tracks changes; it is read in full at each sync and compared by hash.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "agent/capture.h"

namespace agent {

// Opens the export and verifies what has checksums. Throws what images::open_machine_export()
// throws, and not_found for a rule of excluded disks that fits none.
std::unique_ptr<Capture> capture_export(const std::string& path, const CaptureSettings& settings,
                                        std::stop_token stop);

}  // namespace agent
