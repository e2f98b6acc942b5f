#include "appliance/boot/boot_preparation.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "appliance/boot/domain_translation.h"
#include "appliance/boot/vm_files.h"
#include "base/crypto.h"
#include "base/text.h"

namespace appliance::boot {
namespace {

constexpr uint64_t kMemoryReserve = 512ull << 20;  // of the appliance, for itself

// QEMU takes 8 characters. Without those that look alike.
std::string fresh_password() {
  constexpr std::string_view kLetters = "abcdefghijkmnpqrstuvwxyzACDEFGHJKLMNPQRSTUVWXYZ2345679";
  std::string password;
  for (uint8_t byte : base::random_array<8>()) password += kLetters[byte % kLetters.size()];
  return password;
}

// The disk the machine boots from says most: the first with an EFI system partition, else the
// first.
DiskLook look_at_point(images::StoreReader& reader, const images::Point& point) {
  std::optional<DiskLook> first;
  for (const images::PointDisk& disk : point.disks) {
    DiskLook look = look_at(*reader.open_disk(point.id, disk.name));
    if (look.has_efi_system_partition) return look;
    if (!first) first = look;
  }
  return first.value_or(DiskLook{});
}

void check_networks(const BootOptions& options, Hypervisor& hypervisor, MachinePlan& plan) {
  for (const NetworkChoice& choice : options.networks) {
    if (choice.mode == NetworkMode::bridge && !hypervisor.has_bridge(choice.bridge)) {
      plan.reasons.push_back(
          fmt::format("there is no bridge '{}' on this appliance", choice.bridge));
    }
  }
}

void check_folders(const BootSettings& settings, MachinePlan& plan) {
  for (const std::string& path : {settings.state_directory, settings.run_directory}) {
    if (auto obstacle = obstacle_on(path, settings.qemu_group)) plan.reasons.push_back(*obstacle);
  }
}

// Isolated and NAT networks are libvirt's, under the names of the settings.
void name_networks(const BootSettings& settings, MachinePlan& plan) {
  for (PlannedCard& card : plan.cards) {
    if (card.mode == NetworkMode::nat) card.source = settings.nat_network;
    if (card.mode == NetworkMode::isolated) card.source = settings.isolated_network;
  }
}

}  // namespace

uint64_t free_memory(const HypervisorFacts& facts, uint64_t promised_memory) {
  uint64_t promised = promised_memory + kMemoryReserve;
  uint64_t unpromised = facts.memory_size > promised ? facts.memory_size - promised : 0;
  return std::min(facts.memory_available, unpromised);
}

Preparation prepare_boot(const PointSource& source, const images::PointId& point,
                         const BootOptions& options, const BootSettings& settings,
                         Hypervisor& hypervisor, uint64_t promised_memory) {
  Preparation prepared;
  prepared.point = source.reader->read_point(point);
  DiskLook look = look_at_point(*source.reader, prepared.point);
  prepared.facts = hypervisor.facts();
  prepared.facts.memory_available = free_memory(prepared.facts, promised_memory);
  prepared.plan = plan_machine(prepared.point, look, options, prepared.facts);
  name_networks(settings, prepared.plan);
  check_networks(options, hypervisor, prepared.plan);
  check_folders(settings, prepared.plan);
  return prepared;
}

BootRecord new_record(const BootPlaces& places, const BootId& id, const PointSource& source,
                      const BootOptions& options, const Preparation& prepared,
                      const AcceleratorVerdict& verdict) {
  const MachinePlan& plan = prepared.plan;
  BootRecord record;
  record.key_file_path = source.key_file_path;
  record.passphrase_file_path = source.passphrase_file_path;
  record.console_password = fresh_password();
  InstantVm& vm = record.vm;
  vm.id = id;
  vm.purpose = options.purpose;
  vm.point = prepared.point.id;
  vm.machine_name = prepared.point.machine_name;
  vm.store_directory = source.store_directory;
  vm.started_ms = base::now_ms();
  vm.domain_name = domain_name(prepared.point.machine_name, id);
  vm.accelerator = verdict.accelerator;
  vm.firmware = plan.firmware;
  vm.cpu_count = plan.cpu_count;
  vm.memory_size = plan.memory_size;
  vm.serial_log_path = places.serial_path;
  vm.notes = plan.notes;
  vm.restart = options.purpose == Purpose::test ? RestartPolicy::wait : options.restart;
  vm.timeline = options.purpose == Purpose::test ? Timeline::production : options.timeline;
  if (verdict.accelerator == Accelerator::tcg)
    vm.notes.push_back("It runs without KVM. " + verdict.reason);
  for (const PlannedDisk& disk : plan.disks) {
    vm.disks.push_back({.name = disk.name,
                        .target = disk.target,
                        .overlay_path = places.overlay_path(disk.name),
                        .size = prepared.point.disk(disk.name).size});
  }
  for (const PlannedCard& card : plan.cards)
    vm.network_cards.push_back({card.mac, card.mode, card.source});
  return record;
}

const UefiFirmware* firmware_for(const MachinePlan& plan, const HypervisorFacts& facts) {
  if (plan.firmware != images::Firmware::uefi) return nullptr;
  for (const UefiFirmware& each : facts.uefi_firmwares) {
    bool fits = plan.uefi_variables.empty() || each.variables_size == plan.uefi_variables.size();
    if (each.secure_boot == plan.secure_boot && fits) return &each;
  }
  return nullptr;
}

}  // namespace appliance::boot
