// The files of instant VMs: folders with the rights QEMU needs, overlays, UEFI variables, and their
// removal. QEMU runs as a user of its own, which must get through to them; nobody else does, not
// even others of its group: every file in them is closed by its own mode, too. libvirt gives the
// overlays and UEFI variables to that user while the VM runs. Functions; thread-safe for different
// VMs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "appliance/boot/host/hypervisor.h"
#include "appliance/boot/machine/machine_plan.h"
#include "appliance/boot/model/boot_record.h"

namespace appliance::boot {

// Makes STATE/vms and RUN/vms. Throws io.
void make_base_folders(const std::string& state_directory, const std::string& run_directory);

// A sentence if QEMU's user cannot get through to `path`; what to do about it is in it.
std::optional<std::string> obstacle_on(const std::string& path, const QemuUser& qemu);

// The two folders of one boot. QEMU's group may pass through them.
void make_boot_folders(const BootPlaces& places, const QemuUser& qemu);

// The UEFI variables the VM starts with: those of the point, or the firmware's own.
void make_uefi_variables(const BootPlaces& places, const MachinePlan& plan,
                         const UefiFirmware& firmware);

// Everything of the boot but boot.json and, last of all, boot.json: so a removal that was cut off
// can be finished. No error for what is not there.
void remove_boot_folders(const BootPlaces& places);
void remove_run_folder(const BootPlaces& places);

// Boots that have a folder in STATE/vms or in RUN/vms. Throws unavailable if that cannot be read:
// no list is not an empty one.
std::vector<BootId> boots_in(const std::string& directory);

uint64_t used_bytes(const std::string& path);       // on disk; 0 if it is not there
uint64_t free_bytes(const std::string& directory);  // of its file system, for root

// Keeps the last `kept` bytes of a log that others append to, once it has more than `limit`: a
// guest or an export that writes without end does not fill the disk. What is written in that moment
// may be lost. Never throws.
void shorten_log(const std::string& path, uint64_t limit, uint64_t kept) noexcept;

// At most `limit` bytes from `offset`; empty if there is nothing.
std::string read_part(const std::string& path, uint64_t offset, uint64_t limit);

}  // namespace appliance::boot
