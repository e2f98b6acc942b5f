// Each call is forwarded to where it is implemented:
//
//   boot_lookup.h      which VMs exist, and their state
//   boot_operations.h  operations on them, on request
//   boot_tending.h     what happens without a request: adopt() and tend()
#include "appliance/boot/boot_service.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "appliance/boot/boot_lookup.h"
#include "appliance/boot/boot_operations.h"
#include "appliance/boot/boot_tending.h"
#include "appliance/boot/files/vm_files.h"
#include "appliance/boot/handover.h"
#include "appliance/boot/windows_look.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/log.h"
#include "images/export/trace_recorder.h"

namespace appliance::boot {

using base::Error;
using base::ErrorCode;

class BootService::Implementation {
 public:
  Implementation(BootSettings settings_given, Hypervisor& hypervisor_given)
      : settings(std::move(settings_given)), hypervisor(hypervisor_given),
        lookup(settings, hypervisor), operations(settings, hypervisor, lookup),
        tending(settings, hypervisor, lookup, operations),
        handover(hypervisor, lookup, operations) {}

  const BootSettings settings;
  Hypervisor& hypervisor;
  const BootLookup lookup;
  BootOperations operations;
  BootTending tending;
  Handover handover;
  GuestNetworks networks;
};

namespace {

bool has_card(const InstantVm& vm, const std::string& mac) {
  auto wanted = parse_mac(mac);
  return wanted &&
         std::any_of(vm.network_cards.begin(), vm.network_cards.end(),
                     [&](const VmNetworkCard& card) { return parse_mac(card.mac) == wanted; });
}

}  // namespace

BootService::BootService(BootSettings settings, Hypervisor& hypervisor)
    : implementation_(std::make_unique<Implementation>(std::move(settings), hypervisor)) {}
BootService::~BootService() = default;

AcceleratorVerdict BootService::accelerator() { return implementation_->operations.accelerator(); }

BootCheck BootService::check(const PointSource& source, const images::PointId& point,
                             const BootOptions& options) {
  AcceleratorVerdict verdict = accelerator();
  WindowsFindings windows = look_into_windows(source, point, options, implementation_->settings);
  Preparation prepared = implementation_->operations.prepare(source, point, options, windows);
  implementation_->operations.try_definition(source, options, verdict, prepared);
  for (std::string& note : prepared.foreseen_windows_notes)
    prepared.plan.notes.push_back(std::move(note));
  return {std::move(prepared.plan), prepared.point.machine_name, std::move(verdict)};
}

InstantVm BootService::start(const PointSource& source, const images::PointId& point,
                             const BootOptions& options, const StepCallback& on_step) {
  return implementation_->operations.start(source, point, options, on_step);
}

std::vector<InstantVm> BootService::list(const access::TenantScope& scope) {
  return implementation_->lookup.list(scope);
}
InstantVm BootService::get(const BootId& id) { return implementation_->lookup.get(id); }
bool BootService::is_own(const InstantVm& vm) { return implementation_->lookup.is_own(vm); }
std::string BootService::owner_elsewhere(const InstantVm& vm) {
  return implementation_->lookup.owner_elsewhere(vm);
}

BootId BootService::find(std::string_view selector, const access::TenantScope& scope) {
  return implementation_->lookup.find(selector, scope);
}

void BootService::stop(const BootId& id, const StopOptions& options) {
  implementation_->operations.stop(id, options);
  implementation_->networks.sweep();  // a network is removed with its last VM
}
void BootService::power(const BootId& id, PowerAction action) {
  implementation_->operations.power(id, action);
}

InstantVm BootService::unprepare(const BootId& id) {
  return implementation_->operations.unprepare(id);
}

InstantVm BootService::change(const BootId& id, const BootChanges& changes) {
  return implementation_->operations.change(id, changes);
}
std::vector<InstantVm> BootService::timeline_holders(const access::TenantScope& scope) {
  return implementation_->lookup.timeline_holders(scope);
}

std::vector<InstantVm> BootService::interrupted(const access::TenantScope& scope) {
  return implementation_->lookup.interrupted(scope);
}

Screenshot BootService::screenshot(const BootId& id) {
  BootRecord record = implementation_->lookup.open_own_record(id);
  if (implementation_->hypervisor.state(record.vm.domain_name) == DomainState::off) {
    throw Error(ErrorCode::busy, record.vm.domain_name + " does not run");
  }
  return implementation_->hypervisor.screenshot(record.vm.domain_name);
}

std::vector<std::string> BootService::addresses(const BootId& id) {
  BootRecord record = implementation_->lookup.open_own_record(id);
  std::vector<std::string> addresses;
  for (ClaimSource source : {ClaimSource::leases, ClaimSource::agent}) {
    for (const AddressClaim& claim :
         implementation_->hypervisor.address_claims(record.vm.domain_name, source)) {
      bool known = std::find(addresses.begin(), addresses.end(), claim.address) != addresses.end();
      if (!known && has_card(record.vm, claim.mac)) addresses.push_back(claim.address);
    }
    if (!addresses.empty()) break;
  }
  auto is_v4 = [](const std::string& address) { return address.find(':') == std::string::npos; };
  std::stable_partition(addresses.begin(), addresses.end(), is_v4);
  return addresses;
}

GuestSearch BootService::search(const BootId& id) {
  BootRecord record = implementation_->lookup.open_own_record(id);
  return search_guest(record.vm, implementation_->hypervisor, implementation_->networks);
}

std::string BootService::serial_log(const BootId& id, uint64_t offset, uint64_t limit) {
  implementation_->lookup.open_record(id);
  constexpr uint64_t kLimit = 16 << 20;
  return read_part(implementation_->lookup.paths_of(id).serial_path, offset,
                   std::min(limit, kLimit));
}

uint64_t BootService::serial_size(const BootId& id) {
  implementation_->lookup.open_record(id);
  std::error_code none;
  uintmax_t size =
      std::filesystem::file_size(implementation_->lookup.paths_of(id).serial_path, none);
  return none ? 0 : size;
}

std::unique_ptr<BlockPull> BootService::begin_pull(const BootId& id, uint64_t bandwidth) {
  return implementation_->operations.begin_pull(id, bandwidth);
}

void BootService::mark_boot_complete(const BootId& id) {
  std::string path = images::trace_end_path(implementation_->lookup.paths_of(id).trace_path);
  try {
    if (!base::real_file_system().exists(path)) base::real_file_system().create(path);
  } catch (const Error& error) {
    base::log().debug("boot {}: {}", id.hex(), error.message());  // it is ending at this moment
  }
}

void BootService::forget_traces(const images::StoreId& store, const images::MachineId& machine) {
  implementation_->operations.traces().forget(BootTraceCache::key(store, machine));
}

Handover& BootService::handover() { return implementation_->handover; }

AdoptReport BootService::adopt() { return implementation_->tending.adopt(); }
std::vector<std::string> BootService::tend() {
  implementation_->networks.sweep();
  return implementation_->tending.tend();
}

std::string BootService::isolation_problem() {
  return implementation_->tending.isolation_problem();
}

}  // namespace appliance::boot
