// How the domains of instant VMs and test boots are known in libvirt, to all programs: each has an
// element of this XML namespace in its metadata. The appliance writes it
// (appliance/boot/machine/domain_translation.h); an agent on the same host does not report such
// domains as machines to protect.
#pragma once

namespace base {

inline constexpr char kInstantVmMarkUri[] = "urn:muletto:instant-vm:1";

}  // namespace base
