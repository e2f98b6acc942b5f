#include "appliance/boot/boot_lookup.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "appliance/boot/files/vm_files.h"
#include "appliance/boot/machine/domain_translation.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/log.h"

namespace appliance::boot {
namespace {

using base::Error;
using base::ErrorCode;

VmState state_of(Phase phase, DomainState domain) {
  switch (domain) {
    case DomainState::running:
    case DomainState::shutting_down:
      return phase == Phase::starting ? VmState::starting : VmState::running;
    case DomainState::paused:
    case DomainState::paused_by_io_error: return VmState::paused;
    case DomainState::off: break;
  }
  if (phase == Phase::starting) return VmState::starting;
  return phase == Phase::kept ? VmState::kept : VmState::ended;
}

// Of a VM whose libvirt cannot be asked: what its own node recorded last.
VmState recorded_state(Phase phase) {
  return state_of(phase, phase == Phase::started || phase == Phase::stopping ? DomainState::running
                                                                             : DomainState::off);
}

}  // namespace

std::vector<InstantVm> BootLookup::list(const access::TenantScope& scope) const {
  std::map<BootId, DomainState> domains = our_domains();
  std::vector<InstantVm> vms;
  for (const BootId& id : boots_in(settings_.state_directory)) {
    std::optional<BootRecord> record = find_record(id);
    if (!record || !scope.sees(record->vm.tenant)) continue;
    auto known = domains.find(id);
    vms.push_back(describe(*record, known == domains.end() ? DomainState::off : known->second));
  }
  std::sort(vms.begin(), vms.end(), [](const InstantVm& a, const InstantVm& b) {
    return std::tie(a.started_ms, a.id) < std::tie(b.started_ms, b.id);
  });
  return vms;
}

InstantVm BootLookup::get(const BootId& id) const {
  BootRecord record = open_record(id);
  return describe(record, hypervisor_.state(record.vm.domain_name));
}

BootId BootLookup::find(std::string_view selector, const access::TenantScope& scope) const {
  std::vector<BootId> matches;
  for (const InstantVm& vm : list(scope)) {
    if (vm.id.hex() == selector) return vm.id;
    bool prefix = selector.size() >= 4 && vm.id.hex().starts_with(selector);
    if (prefix || vm.machine_name == selector || vm.domain_name == selector)
      matches.push_back(vm.id);
  }
  if (matches.empty()) {
    throw Error(ErrorCode::not_found,
                fmt::format("there is no instant VM '{}'", selector.substr(0, 255)));
  }
  if (matches.size() > 1) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("'{}' means {} instant VMs: give the id of one", selector, matches.size()));
  }
  return matches.front();
}

std::vector<InstantVm> BootLookup::timeline_holders(const access::TenantScope& scope) const {
  std::vector<InstantVm> holders;
  for (const BootId& id : boots_in(settings_.state_directory)) {
    std::optional<BootRecord> record = find_record(id);
    if (!record || record->vm.timeline != Timeline::instant) continue;
    if (record->phase == Phase::kept || record->phase == Phase::stopping) continue;
    if (!scope.sees(record->vm.tenant)) continue;
    holders.push_back(record->vm);
  }
  std::sort(holders.begin(), holders.end(), [](const InstantVm& a, const InstantVm& b) {
    return std::tie(a.started_ms, a.id) < std::tie(b.started_ms, b.id);
  });
  return holders;
}

std::vector<InstantVm> BootLookup::interrupted(const access::TenantScope& scope) const {
  std::vector<InstantVm> found;
  for (const BootId& id : boots_in(settings_.state_directory)) {
    std::optional<BootRecord> record = find_record(id);
    if (!record || record->problem.empty() || !scope.sees(record->vm.tenant)) continue;
    if (!is_own(record->vm)) continue;
    record->vm.problem = record->problem;
    found.push_back(record->vm);
  }
  return found;
}

// ---- one VM

BootPaths BootLookup::paths_of(const BootId& id) const {
  return boot_paths(settings_.state_directory, settings_.run_directory, id);
}

BootRecord BootLookup::open_record(const BootId& id) const {
  std::optional<BootRecord> record = find_record(id);
  if (!record)
    throw Error(ErrorCode::not_found, fmt::format("there is no instant VM {}", id.hex()));
  return *record;
}

BootRecord BootLookup::open_own_record(const BootId& id) const {
  BootRecord record = open_record(id);
  std::string owner = owner_elsewhere(record.vm);
  if (owner.empty()) return record;
  throw Error(ErrorCode::busy, fmt::format("the instant VM {} of {} belongs to {}", id.hex(),
                                           record.vm.machine_name, owner));
}

bool BootLookup::is_own(const InstantVm& vm) const { return owner_elsewhere(vm).empty(); }

std::string BootLookup::owner_elsewhere(const InstantVm& vm) const {
  if (!vm.node.is_zero() && vm.node != settings_.node) {
    return fmt::format("node {}, and this is node {}: give the order to its own node",
                       vm.node.hex(), settings_.node.hex());
  }
  // libvirt's domain and the overlays name the folder that they were made in.
  const std::string folder = paths_of(vm.id).folder;
  for (const VmDisk& disk : vm.disks) {
    std::string made_in = base::parent_path(disk.overlay_path);
    if (made_in == folder) continue;
    return fmt::format(
        "the state folder that made it, with its files in {}. If that folder was moved, move it "
        "back; if this is a copy of it, the VM is still the original's: remove {}",
        made_in, folder);
  }
  return {};
}

std::optional<BootRecord> BootLookup::find_record(const BootId& id) const {
  try {
    BootRecord record = read_record(base::real_file_system(), paths_of(id));
    if (record.vm.tenant.empty()) {
      record.vm.tenant = settings_.tenant_of_store
                             ? settings_.tenant_of_store(record.vm.store.location)
                             : access::TenantName(access::kDefaultTenant);
    }
    return record;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found) return std::nullopt;
    base::log().error("{}", error.message());
    return std::nullopt;
  }
}

InstantVm BootLookup::describe(const BootRecord& record, DomainState domain) const {
  InstantVm vm = record.vm;
  if (!is_own(vm)) {
    vm.state = recorded_state(record.phase);
    vm.problem = record.problem;
    if (vm.node.is_zero() || vm.node == settings_.node)
      vm.problem = fmt::format("It belongs to {}.", owner_elsewhere(vm));
    for (VmDisk& disk : vm.disks) disk.overlay_size = used_bytes(disk.overlay_path);
    return vm;
  }
  vm.state = state_of(record.phase, domain);
  if (domain == DomainState::off) vm.problem = record.problem;
  if (record.holder == Holder::nobody) {
    vm.problem =
        fmt::format("Failback {} is bringing it home: nobody runs it now.", record.failback);
  } else if (record.holder == Holder::home) {
    vm.problem = fmt::format("Failback {} brought it home; what it wrote here is kept meanwhile.",
                             record.failback);
  }
  if (domain == DomainState::paused_by_io_error) {
    bool full = free_bytes(settings_.state_directory) < kFreeDiskToResume;
    vm.problem = full ? "The appliance's disk is full: the VM is paused until there is room."
                      : "Its disk did not answer.";
  }
  for (VmDisk& disk : vm.disks) disk.overlay_size = used_bytes(disk.overlay_path);
  if (domain != DomainState::off) {
    try {
      vm.console = read_console(hypervisor_.domain_xml(vm.domain_name));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::not_found) throw;  // it has ended at this moment
    }
  }
  vm.console.password = record.console_password;
  return vm;
}

std::optional<InstantVm> BootLookup::other_holder(const InstantVm& vm) const {
  for (const InstantVm& each : timeline_holders(vm.tenant)) {
    if (each.machine_name == vm.machine_name && each.id != vm.id) return each;
  }
  return std::nullopt;
}

// ---- all VMs

std::map<BootId, DomainState> BootLookup::our_domains() const {
  std::map<BootId, DomainState> domains;
  for (const DomainSummary& each : hypervisor_.list()) {
    if (each.state_directory == settings_.state_directory && each.state != DomainState::off)
      domains[each.boot] = each.state;
  }
  return domains;
}

std::vector<InstantVm> BootLookup::active_vms() const {
  std::map<BootId, DomainState> domains = our_domains();
  std::vector<InstantVm> active;
  for (const BootId& id : boots_in(settings_.state_directory)) {
    std::optional<BootRecord> record = find_record(id);
    if (!record || !is_own(record->vm)) continue;
    if (domains.contains(id) || record->phase == Phase::starting) active.push_back(record->vm);
  }
  return active;
}

uint64_t BootLookup::promised_memory() const {
  uint64_t sum = 0;
  for (const InstantVm& vm : active_vms()) sum += vm.memory_size;
  return sum;
}

}  // namespace appliance::boot
