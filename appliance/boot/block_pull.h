// Moves a running instant VM onto local storage: QEMU copies what lies below the overlays into them
// (libvirt's block pull) while the guest works. What the guest overwrites meanwhile is not copied.
//
// Every step can be cut off. boot.json says "pulling" before the first byte is copied, so that a
// new daemon takes the pull up again; QEMU copies on without any daemon. A pull that failed or was
// cancelled leaves what it has copied in the overlay, and the next one copies only the rest. At the
// end each disk's chain is the overlay alone; then, in this order, the connections to the export
// are closed, domain.xml forgets the export (so that power-on needs none), boot.json says "local",
// and the export ends. One thread a call.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "appliance/boot/boot_record.h"
#include "appliance/boot/hypervisor.h"

namespace appliance::boot {

struct PullProgress {
  uint64_t done = 0;   // bytes of disks that are local
  uint64_t total = 0;  // bytes of all disks, as the guest sees them
};

struct PullOptions {
  uint64_t bandwidth = 0;  // bytes per second, each disk; 0: no limit
  // Called twice a second; what it throws (cancelled) ends the call, after which the copying is
  // ended too unless keep_copying() says that it shall go on: for a daemon that ends, and its
  // successor.
  std::function<void(const PullProgress&)> on_progress;
  std::function<bool()> keep_copying;
};

// Bytes that the overlays may come to need at most: all data of the point's disks, and qcow2's
// tables. Opens the record's store. Throws what opening it throws.
uint64_t room_to_pull(const BootRecord& record);

// Runs an action on the VM's record under the VM's lock.
using WithRecord =
    std::function<void(const std::function<void(BootRecord&, const BootPlaces&)>& action)>;

// Returns when the VM needs neither export nor store any more. Throws busy if it does not run, or
// ends meanwhile; io if QEMU gives up again and again; what on_progress throws.
void pull_disks(Hypervisor& hypervisor, const WithRecord& with_record, const PullOptions& options);

// A domain's definition with every disk on its overlay alone.
std::string without_exports(const std::string& domain_xml);

// False once the disk on `overlay_path` has nothing below it.
bool has_backing(const std::string& domain_xml, const std::string& overlay_path);

}  // namespace appliance::boot
