// Everything before any part of a boot exists: reading the point, planning the machine, and finding
// every reason why it cannot start. Functions without state; thread-safe.
#pragma once

#include <optional>

#include "appliance/boot/boot_service.h"
#include "appliance/boot/machine/machine_plan.h"
#include "appliance/boot/model/boot_record.h"
#include "appliance/boot/windows/windows_examination.h"
#include "appliance/boot/windows/windows_preparation.h"

namespace appliance::boot {

struct Preparation {
  images::Point point;
  HypervisorFacts facts;
  MachinePlan plan;  // its reasons are complete: machine, memory, networks, folders
  bool is_refused_for_damage = false;  // of the image; it is also in the reasons
  // Where a Windows may have to be prepared for its new hardware; empty: not wanted, or not needed.
  std::vector<NtfsPartition> ntfs_partitions{};
  // Sentences for a check: what will be changed in that Windows. A VM's notes say what was changed.
  std::vector<std::string> foreseen_windows_notes{};
};

// `active` are the VMs that run or are being started: they may use all the memory they were
// promised, whether they have touched it or not, and no other VM may have their identity on their
// networks. `windows` is what look_into_windows() found.
Preparation prepare_boot(const PointSource& source, const images::PointId& point,
                         const BootOptions& options, const BootSettings& settings,
                         const WindowsFindings& windows, Hypervisor& hypervisor,
                         const std::vector<InstantVm>& active);

// Of a machine whose definition does not name its firmware: the kind that prepare_boot() does not
// choose, if the disks could boot with it as well.
std::optional<images::Firmware> other_firmware_of_point(images::StoreReader& reader,
                                                        const images::PointId& point);

// The reasons why an ended VM may not join its networks again now.
std::vector<std::string> conflicts_of(const BootRecord& record,
                                      const std::vector<InstantVm>& active, Hypervisor& hypervisor);

// Bytes that a VM can be given now, in addition to the running ones and the appliance itself.
uint64_t free_memory(const HypervisorFacts& facts, uint64_t promised_memory);

// The record of a boot that is about to start, with a new console password.
BootRecord new_record(const BootPaths& paths, const BootId& id, const PointSource& source,
                      const BootOptions& options, const BootSettings& settings,
                      const Preparation& prepared, const AcceleratorVerdict& verdict);

// The firmware for the plan; none for BIOS.
const UefiFirmware* firmware_for(const MachinePlan& plan, const HypervisorFacts& facts);

}  // namespace appliance::boot
