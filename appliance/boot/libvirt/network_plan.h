// libvirt networks of our own, and the subnets they get. Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "appliance/boot/host/hypervisor.h"

namespace appliance::boot::libvirt {

// The third byte of a 192.168.x.0/24 that is on no interface of this host and has no route.
// `routes` is the content of /proc/net/route. Throws unavailable if all are taken.
unsigned int free_subnet(const std::string& routes);

// A transient network with DHCP on a free subnet.
std::string network_xml(const NetworkPlan& plan);

}  // namespace appliance::boot::libvirt
