// The Hypervisor implemented with libvirt and QEMU. The only code of the appliance that includes
// libvirt's headers. Thread-safe: libvirt's connection is. A lost connection (libvirtd restarted)
// is reopened by the next call.
#pragma once

#include <memory>
#include <string>

#include "appliance/boot/host/hypervisor.h"

namespace appliance::boot::libvirt {

// "qemu:///system", or another daemon with "?socket=PATH". Does not connect yet: a libvirtd that is
// down is reported by the first call (unavailable), and found again when it is up.
std::unique_ptr<Hypervisor> connect(const std::string& uri);

}  // namespace appliance::boot::libvirt
