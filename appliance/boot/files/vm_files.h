// The files of instant VMs: folders with the permissions QEMU needs, overlays, UEFI variables, and
// their removal. QEMU runs as another user, which must be able to pass through to them; nobody else
// can, not even others in its group: every file in them is also protected by its own mode. libvirt
// gives the overlays and UEFI variables to that user while the VM runs. Functions; thread-safe for
// different VMs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "appliance/boot/host/hypervisor.h"
#include "appliance/boot/machine/machine_plan.h"
#include "appliance/boot/model/boot_record.h"

namespace appliance::boot {

// Creates STATE/vms and RUN/vms. Throws io.
void make_base_folders(const std::string& state_directory, const std::string& run_directory);

// A sentence if QEMU's user cannot get through to `path`; it says what to do about it.
std::optional<std::string> obstacle_on(const std::string& path, const QemuUser& qemu);

// Creates the two folders of one boot. QEMU's group may pass through them.
void make_boot_folders(const BootPaths& paths, const QemuUser& qemu);

// The same for a new boot, with its record in it: the folder appears all at once, so that no other
// node ever sees one without a record. Durable when it returns; after a failure nothing is left.
void make_recorded_boot_folders(const BootPaths& paths, const QemuUser& qemu,
                                const BootRecord& record);
// The boots of this node of which a crash left the folder that make_recorded_boot_folders() was
// making. Throws unavailable as boots_in().
std::vector<BootId> unfinished_boots(const std::string& state_directory,
                                     const access::NodeId& node);
void remove_unfinished_boot(const BootPaths& paths, const access::NodeId& node);
// Whether the boot's folder is empty, but for what an interrupted write of boot.json leaves.
bool is_bare_folder(const BootPaths& paths);

// Creates the UEFI variables the VM starts with: those of the point, or the firmware's own.
void make_uefi_variables(const BootPaths& paths, const MachinePlan& plan,
                         const UefiFirmware& firmware);

// Removes everything of the boot except boot.json and, last of all, boot.json: so an interrupted
// removal can be completed. No error for what does not exist.
void remove_boot_folders(const BootPaths& paths);
void remove_run_folder(const BootPaths& paths);

// Boots that have a folder in STATE/vms or in RUN/vms. Throws unavailable if that cannot be read: a
// missing list is not an empty one.
std::vector<BootId> boots_in(const std::string& directory);

uint64_t used_bytes(const std::string& path);       // on disk; 0 if it does not exist
uint64_t free_bytes(const std::string& directory);  // of its file system, for root

// Keeps the last `kept` bytes of a log that others append to, once it has more than `limit`: a
// guest or an export that writes endlessly must not fill the disk. What is written at that moment
// may be lost. Never throws.
void shorten_log(const std::string& path, uint64_t limit, uint64_t kept) noexcept;

// At most `limit` bytes starting at `offset`; empty if there are none.
std::string read_part(const std::string& path, uint64_t offset, uint64_t limit);

}  // namespace appliance::boot
