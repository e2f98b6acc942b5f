// The computer this agent runs on, as a machine's definition: what the kernel reports in /sys and
// /proc. Without a libvirt definition the appliance chooses controllers that an unprepared system
// can boot from (appliance/boot/machine/machine_plan.h). Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "images/point.h"

namespace agent {

// `root` is "" or a folder that contains sys and proc of the machine. Besides firmware, CPUs,
// memory and network cards there is a state file "hardware", JSON: "uuid", "vendor", "product",
// "serial" (from the firmware's tables), "disks" [{"name", "size", "model", "partitions" [{"name",
// "start", "size"}]}], bytes. What the kernel does not report is left out.
images::MachineDefinition physical_definition(const std::string& root);

// Names of the fixed disks ("sda", "nvme0n1"), sorted: no removable, loop, RAM or mapped disks, no
// USB disks, and no paths of a multipath NVMe disk ("nvme0c0n1"), which have no device node.
std::vector<std::string> physical_disks(const std::string& root);

// Names of the disks at USB, sorted: a server's own disks are elsewhere, and those are plugged and
// unplugged. For the point's note.
std::vector<std::string> usb_disks(const std::string& root);

}  // namespace agent
