// GuestWatch implemented with libvirt, over a connection of its own, whose events are received by a
// thread of its own.
#pragma once

#include <memory>
#include <string>

#include "appliance/boot/host/guest_watch.h"

namespace appliance::boot::libvirt {

// `uri` as for connect(); connects when it is first used, and again after libvirtd was unavailable.
std::unique_ptr<GuestWatch> watch_guests(const std::string& uri);

}  // namespace appliance::boot::libvirt
