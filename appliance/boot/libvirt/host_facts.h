// Fills HypervisorFacts from libvirt's descriptions and from this host. Thread-safe.
#pragma once

#include <string>

#include "appliance/boot/host/hypervisor.h"

namespace appliance::boot::libvirt {

void read_capabilities(const std::string& xml,
                       HypervisorFacts& facts);  // virConnectGetCapabilities
void read_domain_capabilities(const std::string& xml,
                              HypervisorFacts& facts);  // virConnectGetDomainCapabilities
// From virConnectGetCapabilities, which shows how libvirt labels what it starts. If it does not:
// the user that distributions create for QEMU, or root.
QemuUser read_qemu_user(const std::string& xml);
// Adds the network cards of a running domain, from its XML.
void read_cards_in_use(const std::string& domain_xml, HypervisorFacts& facts);
// CPUs, memory, and the UEFI firmwares of QEMU's descriptors in /usr/share/qemu/firmware
// (qemu: docs/interop/firmware.json).
void read_host(HypervisorFacts& facts);

}  // namespace appliance::boot::libvirt
