// Which instant VMs exist, and their state: their records in STATE/vms combined with what libvirt
// reports about their domains, at each call. Internal to appliance/boot: other folders use
// BootService (boot_service.h).
//
// Changes nothing. Thread-safe; takes no locks, so results may be outdated at once, unless the
// caller holds the VM's lock (boot_operations.h).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/boot/boot_service.h"
#include "appliance/boot/host/hypervisor.h"
#include "appliance/boot/model/boot_record.h"

namespace appliance::boot {

// Bytes that have to be free before a VM that was paused for lack of disk space is resumed.
constexpr uint64_t kFreeDiskToResume = 256ull << 20;

class BootLookup {
 public:
  BootLookup(const BootSettings& settings, Hypervisor& hypervisor)  // both outlive it
      : settings_(settings), hypervisor_(hypervisor) {}

  // ---- like BootService's functions of the same names

  std::vector<InstantVm> list(const access::TenantScope& scope) const;
  InstantVm get(const BootId& id) const;
  BootId find(std::string_view selector, const access::TenantScope& scope) const;
  std::vector<InstantVm> timeline_holders(const access::TenantScope& scope) const;
  std::vector<InstantVm> interrupted(const access::TenantScope& scope) const;

  // ---- one VM

  BootPaths paths_of(const BootId& id) const;
  BootRecord open_record(const BootId& id) const;  // throws not_found
  // For operations on the VM. Throws not_found; busy if it is not our own.
  BootRecord open_own_record(const BootId& id) const;
  // With its tenant, whatever version wrote it. None also if it cannot be read, which is logged.
  std::optional<BootRecord> find_record(const BootId& id) const;
  // The record's VM, with everything that is not in records.
  InstantVm describe(const BootRecord& record, DomainState domain) const;
  // The other VM of its machine that holds the machine's timeline.
  std::optional<InstantVm> other_holder(const InstantVm& vm) const;

  // False for a VM that another installation's process has (access::NodeId), and for one that was
  // made in another state folder, of which ours is a copy, or which was moved here.
  bool is_own(const InstantVm& vm) const;
  // Whose it is, and what to do, to follow "belongs to"; empty if it is our own.
  std::string owner_elsewhere(const InstantVm& vm) const;

  // ---- all VMs

  std::map<BootId, DomainState> our_domains() const;  // those that are not off
  std::vector<InstantVm> active_vms() const;  // VMs of this node that run or are being started
  uint64_t promised_memory() const;           // bytes: of all active VMs

 private:
  const BootSettings& settings_;
  Hypervisor& hypervisor_;
};

}  // namespace appliance::boot
