// The first step of a plan: what a machine's libvirt definition asks for. Private to machine_plan.
// Pure except for the packer.
#pragma once

#include "appliance/boot/machine/machine_plan.h"

namespace appliance::boot {

// Fills `plan` from point.definition.libvirt_xml. What is left out or replaced is in its notes,
// what cannot be run at all in its reasons. Throws corrupt if the definition is not the XML of a
// domain.
void read_definition(const images::Point& point, const BootOptions& options,
                     const HypervisorFacts& facts, const XmlPacker& packer, MachinePlan& plan);

}  // namespace appliance::boot
