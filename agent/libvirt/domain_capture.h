// A libvirt domain in any state: cleans up after an earlier sync, then captures the domain running
// or shut off.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "agent/capture.h"
#include "agent/machine_lock.h"

namespace agent::libvirt {

// `domain_name` is its name or UUID in the libvirt at `uri`; `lock` is the machine's. Throws
// not_found, unavailable, busy, unsupported, no_space.
std::unique_ptr<Capture> capture_domain(const std::string& uri, const std::string& domain_name,
                                        const std::optional<BasePoint>& last, MachineLock lock,
                                        const CaptureSettings& settings);

}  // namespace agent::libvirt
