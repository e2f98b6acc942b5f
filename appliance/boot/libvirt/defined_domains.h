// Domains that libvirt knows also while they do not run, and their checkpoints. Functions;
// thread-safe. They return false where a libvirt call failed; virGetLastError() tells why.
#pragma once

#include <libvirt/libvirt.h>

#include <string>

#include "appliance/boot/host/hypervisor.h"

namespace appliance::boot::libvirt {

// Removes the definition with all that libvirt keeps about it. The files of the domain stay, and
// if it runs, it runs on as a transient one.
bool undefine(virDomainPtr domain);

bool has_checkpoint(virDomainPtr domain, const std::string& checkpoint);
// See Hypervisor::set_checkpoint().
bool set_checkpoint(virDomainPtr domain, const CheckpointPlan& plan);

DomainEnd last_end(virDomainPtr domain);

}  // namespace appliance::boot::libvirt
