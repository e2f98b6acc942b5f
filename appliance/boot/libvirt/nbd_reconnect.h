// Makes QEMU wait for an export that is unavailable.
//
// libvirt 9.0 cannot give an NBD connection a reconnect delay, and without one a lost connection is
// never re-established. QEMU cannot change the delay of a connection either, but it can replace the
// connection under a running guest: a second one is added, with a delay, and the raw node above the
// first is reopened on it. The first stays, idle, since libvirt knows it by name. Nodes are found
// by socket and export name.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "appliance/boot/host/hypervisor.h"

namespace appliance::boot::libvirt {

// Sends one QMP request, returns QEMU's answer; throws if there is none.
using Monitor = std::function<std::string(const std::string& request)>;

// Throws io with QEMU's error message if it refuses, not_found if an export is not connected.
void enable_reconnect(const std::vector<BackingExport>& exports, const Monitor& monitor);

// Removes the second connections again; those that are still in use stay.
void remove_unused(const Monitor& monitor);

}  // namespace appliance::boot::libvirt
