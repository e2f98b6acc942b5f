// Makes QEMU wait for an export that is away.
//
// libvirt 9.0 cannot give an NBD connection a reconnect delay, and a failed read would stop the guest. QEMU
// itself can change it under a running guest: blockdev-reopen of the connection's node with reconnect-delay.
// The node is found by its socket and export name, not by libvirt's numbering.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "appliance/boot/hypervisor.h"

namespace appliance::boot::libvirt {

// Sends one QMP request, returns QEMU's answer; throws if there is none.
using Monitor = std::function<std::string(const std::string& request)>;

// Throws io with QEMU's words if it refuses, not_found if an export is not connected.
void reopen_patiently(const std::vector<BackingExport>& exports, const Monitor& monitor);

}  // namespace appliance::boot::libvirt
