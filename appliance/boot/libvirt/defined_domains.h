// Domains that are defined in libvirt also while they are not running, and their checkpoints.
// Functions; thread-safe. They return false if a libvirt call failed; virGetLastError() says why.
#pragma once

#include <libvirt/libvirt.h>

#include <string>

#include "appliance/boot/host/hypervisor.h"

namespace appliance::boot::libvirt {

// Removes the definition with everything that libvirt stores about it. The files of the domain
// stay, and if it is running, it continues as a transient one.
bool undefine(virDomainPtr domain);

bool has_checkpoint(virDomainPtr domain, const std::string& checkpoint);
// See Hypervisor::set_checkpoint().
bool set_checkpoint(virDomainPtr domain, const CheckpointPlan& plan);

DomainEnd last_end(virDomainPtr domain);

}  // namespace appliance::boot::libvirt
