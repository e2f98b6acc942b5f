// Fills HypervisorFacts from libvirt's descriptions and from this host. Thread-safe.
#pragma once

#include <string>

#include "appliance/boot/hypervisor.h"

namespace appliance::boot::libvirt {

void read_capabilities(const std::string& xml,
                       HypervisorFacts& facts);  // virConnectGetCapabilities
void read_domain_capabilities(const std::string& xml,
                              HypervisorFacts& facts);  // virConnectGetDomainCapabilities
// CPUs, memory, and the UEFI firmwares of QEMU's descriptors in /usr/share/qemu/firmware
// (qemu: docs/interop/firmware.json).
void read_host(HypervisorFacts& facts);

}  // namespace appliance::boot::libvirt
