#include "appliance/boot/boot_preparation.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <string_view>
#include <thread>

#include "appliance/boot/encrypted_volumes.h"
#include "appliance/boot/files/boot_trace_cache.h"
#include "appliance/boot/files/tpm_state.h"
#include "appliance/boot/files/vm_files.h"
#include "appliance/boot/host/identity_conflicts.h"
#include "appliance/boot/machine/disk_check.h"
#include "appliance/boot/machine/domain_translation.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/text.h"

namespace appliance::boot {
namespace {

using base::Error;
using base::ErrorCode;

constexpr std::chrono::milliseconds kAnswerTime{600}, kAnswerLook{50};
constexpr uint64_t kMemoryReserve = 512ull << 20;  // for the appliance itself

// QEMU accepts 8 characters. Without characters that look alike.
std::string fresh_password() {
  constexpr std::string_view kLetters = "abcdefghijkmnpqrstuvwxyzACDEFGHJKLMNPQRSTUVWXYZ2345679";
  std::string password;
  for (uint8_t byte : base::random_array<8>()) password += kLetters[byte % kLetters.size()];
  return password;
}

void append(std::vector<std::string>& to, const std::vector<std::string>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

// The disk the machine boots from is the most informative: the first with an EFI system partition,
// otherwise the first. A disk that is damaged where a boot begins is listed among the damages, what
// is encrypted among the notes.
DiskInspection inspect_point(images::StoreReader& reader, const images::Point& point,
                             std::vector<std::string>& damages, std::vector<std::string>& notes,
                             std::vector<NtfsPartition>& ntfs) {
  std::optional<DiskInspection> best;
  for (const images::PointDisk& disk : point.disks) {
    DiskInspection inspection;
    std::optional<std::string> damage;
    try {
      auto disk_reader = reader.open_disk(point.id, disk.name);
      inspection = inspect_disk(*disk_reader);
      inspection.disk_name = disk.name;
      damage = damage_where_boot_begins(*disk_reader, inspection);
      append(notes, encryption_notes(*disk_reader, inspection));
      for (NtfsPartition& each : ntfs_partitions(*disk_reader, inspection))
        ntfs.push_back(std::move(each));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::corrupt) throw;
      damage = error.message();
    }
    if (damage) {
      damages.push_back(
          fmt::format("the image of its disk {} is damaged ({})", disk.name, *damage));
    }
    if (!best || (inspection.has_efi_system_partition && !best->has_efi_system_partition))
      best = inspection;
  }
  return best.value_or(DiskInspection{});
}

// Damage is a reason against the start, or only a note if the operator wants it anyway. A check of
// the store may have found damage outside the few places that are examined here.
void judge_damages(const PointSource& source, const BootOptions& options,
                   std::vector<std::string> damages, Preparation& prepared) {
  const images::Point& point = prepared.point;
  auto known = source.damaged_points.find(point.id);
  if (damages.empty() && known != source.damaged_points.end()) {
    damages.push_back(fmt::format("a check of the store found its image damaged at {}",
                                  base::format_time_ms(known->second)));
  }
  if (options.accept_damage) {
    std::vector<std::string>& notes = prepared.plan.notes;
    notes.insert(notes.begin(), damages.begin(), damages.end());
    return;
  }
  for (std::string& damage : damages) {
    damage += fmt::format(
        ": choose another point (muletto point list --machine {}), let 'muletto "
        "tenant check' find what else is damaged, or start it anyway with "
        "--accept-damage",
        point.machine_name);
  }
  prepared.is_refused_for_damage = !damages.empty();
  append(prepared.plan.reasons, damages);
}

// Windows that gets the hardware it had needs no other drivers. What was found is said before
// anything starts; what was done, by the VM's notes.
void settle_windows(const BootOptions& options, const WindowsFindings& windows,
                    Preparation& prepared) {
  std::vector<std::string>& notes = prepared.plan.notes;
  bool same_hardware = !prepared.point.definition.libvirt_xml.empty() && !options.disk_bus;
  bool is_wanted = options.windows != WindowsPreparation::none;
  bool is_needed = !prepared.ntfs_partitions.empty() && !same_hardware;
  if (!is_wanted || !is_needed) prepared.ntfs_partitions.clear();
  append(notes, windows.notes);
  if (!is_needed) return;
  if (!is_wanted) {
    notes.push_back("A Windows is started as it is, as requested (--prepare none).");
    return;
  }
  prepared.foreseen_windows_notes = windows.obstacles;
  for (const std::string& change : windows.changes)
    prepared.foreseen_windows_notes.push_back("Before it starts, in the instant VM only: " +
                                              change);
  if (prepared.foreseen_windows_notes.empty() && windows.has_windows) {
    prepared.foreseen_windows_notes.push_back(
        "Windows needs no preparation: the drivers of its new controllers start already.");
  }
}

void check_networks(const BootOptions& options, Bridges* bridges, MachinePlan& plan) {
  for (const NetworkChoice& choice : options.networks) {
    if (choice.mode != NetworkMode::bridge) continue;
    if (bridges == nullptr) {
      plan.notes.push_back(
          fmt::format("nobody has looked whether the original answers on the bridge '{}': it is on "
                      "another host",
                      choice.name));
    } else if (!bridges->has_bridge(choice.name)) {
      plan.reasons.push_back(
          fmt::format("there is no bridge '{}' on this appliance: 'ip link show type bridge' lists "
                      "the existing ones",
                      choice.name));
    }
  }
}

std::vector<VmNetworkCard> cards_of(const MachinePlan& plan) {
  std::vector<VmNetworkCard> cards;
  for (const GuestCard& card : plan.cards) cards.push_back({card.mac, card.mode, card.source});
  return cards;
}

std::vector<ForwardingEntry> forwarding_tables_of(const std::vector<VmNetworkCard>& cards,
                                                  Bridges* bridges) {
  std::vector<ForwardingEntry> all;
  for (const VmNetworkCard& card : cards) {
    if (card.mode != NetworkMode::bridge || bridges == nullptr) continue;
    for (ForwardingEntry& each : bridges->forwarding_table(card.source))
      all.push_back(std::move(each));
  }
  return all;
}

// An original that is alive may be silent for long: it is asked to send something, and given time
// to do so. `conflicts` judges what was seen.
std::vector<std::string> look_for_original(
    const JoiningVm& joining, Bridges* bridges,
    const std::function<std::vector<std::string>(const std::vector<ForwardingEntry>&)>& conflicts) {
  std::vector<std::string> reasons = conflicts(forwarding_tables_of(joining.cards, bridges));
  bool on_bridge = false;
  for (const VmNetworkCard& card : joining.cards) {
    if (joining.has_fresh_macs || card.mode != NetworkMode::bridge || bridges == nullptr) continue;
    on_bridge = true;
    if (reasons.empty()) bridges->solicit_reply(card.source, card.mac);
  }
  auto deadline = std::chrono::steady_clock::now() + kAnswerTime;
  while (on_bridge && reasons.empty() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(kAnswerLook);
    reasons = conflicts(forwarding_tables_of(joining.cards, bridges));
  }
  return reasons;
}

void check_folders(const BootSettings& settings, const QemuUser& qemu, MachinePlan& plan) {
  for (const std::string& path : {settings.state_directory, settings.run_directory}) {
    if (auto obstacle = obstacle_on(path, qemu)) plan.reasons.push_back(*obstacle);
  }
}

access::TenantName tenant_of(const PointSource& source) {
  return source.tenant.empty() ? access::TenantName(access::kDefaultTenant) : source.tenant;
}

// Isolated and NAT networks are libvirt's, with the names from the settings.
void name_networks(const BootSettings& settings, const access::TenantName& tenant,
                   MachinePlan& plan) {
  for (GuestCard& card : plan.cards) {
    if (card.mode == NetworkMode::nat) card.source = settings.nat_network;
    if (card.mode == NetworkMode::isolated)
      card.source = isolated_network_name(settings.isolated_network, tenant, card.source);
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
                         const WindowsFindings& windows, Hypervisor& hypervisor,
                         const std::vector<InstantVm>& active) {
  Preparation prepared;
  prepared.point = source.reader->read_point(point);
  std::vector<std::string> damages, notes;
  DiskInspection inspection =
      inspect_point(*source.reader, prepared.point, damages, notes, prepared.ntfs_partitions);
  inspection.has_windows |= windows.has_windows;
  inspection.has_virtio_disk = windows.has_virtio_disk;
  inspection.has_virtio_scsi = windows.has_virtio_scsi;
  inspection.has_virtio_network = windows.has_virtio_network;
  prepared.facts = hypervisor.facts();
  uint64_t promised = 0;
  for (const InstantVm& vm : active) promised += vm.memory_size;
  prepared.facts.memory_available = free_memory(prepared.facts, promised);
  prepared.plan =
      plan_machine(prepared.point, inspection, options, prepared.facts, pack_xml_without_rights);
  MachinePlan& plan = prepared.plan;
  append(plan.notes, notes);
  // An existing TPM with this name belongs to another machine, or to this one on its old host.
  if (plan.has_tpm &&
      base::real_file_system().exists(tpm_folder(settings.tpm_directory, plan.uuid)))
    plan.uuid = fresh_uuid();
  // The network of a test boot is its own already.
  name_networks(settings, options.purpose == Purpose::test ? access::TenantName() : source.tenant,
                plan);
  settle_windows(options, windows, prepared);
  judge_damages(source, options, std::move(damages), prepared);
  check_networks(options, hypervisor.bridges(), plan);
  check_folders(settings, hypervisor.qemu_user(), plan);
  JoiningVm joining{prepared.point.machine_name, tenant_of(source), "",
                    options.macs == MacChoice::fresh, cards_of(plan)};
  append(plan.reasons,
         look_for_original(joining, hypervisor.bridges(),
                           [&](const std::vector<ForwardingEntry>& forwarding_entries) {
                             return identity_conflicts(joining, active, prepared.facts.cards_in_use,
                                                       forwarding_entries);
                           }));
  return prepared;
}

std::optional<images::Firmware> other_firmware_of_point(images::StoreReader& reader,
                                                        const images::PointId& point) {
  images::Point manifest = reader.read_point(point);
  bool is_told = manifest.definition.firmware != images::Firmware::unknown ||
                 !manifest.definition.libvirt_xml.empty();
  if (is_told) return std::nullopt;
  std::vector<std::string> ignored;
  std::vector<NtfsPartition> not_needed;
  return other_firmware_of(inspect_point(reader, manifest, ignored, ignored, not_needed));
}

std::vector<std::string> conflicts_of(const BootRecord& record,
                                      const std::vector<InstantVm>& active,
                                      Hypervisor& hypervisor) {
  const InstantVm& vm = record.vm;
  JoiningVm joining{vm.machine_name, vm.tenant, vm.domain_name, record.has_fresh_macs,
                    vm.network_cards};
  std::vector<CardInUse> in_use = hypervisor.facts().cards_in_use;
  return look_for_original(joining, hypervisor.bridges(),
                           [&](const std::vector<ForwardingEntry>& forwarding_entries) {
                             return identity_conflicts(joining, active, in_use, forwarding_entries);
                           });
}

BootRecord new_record(const BootPaths& paths, const BootId& id, const PointSource& source,
                      const BootOptions& options, const BootSettings& settings,
                      const Preparation& prepared, const AcceleratorVerdict& verdict) {
  const MachinePlan& plan = prepared.plan;
  BootRecord record;
  record.console_password = fresh_password();
  record.has_fresh_macs = options.macs == MacChoice::fresh;
  if (plan.has_tpm) record.tpm_folder = tpm_folder(settings.tpm_directory, plan.uuid);
  record.trace_key = BootTraceCache::key(source.reader->id(), prepared.point.machine);
  InstantVm& vm = record.vm;
  vm.id = id;
  vm.purpose = options.purpose;
  vm.point = prepared.point.id;
  vm.machine_name = prepared.point.machine_name;
  vm.tenant = tenant_of(source);
  vm.requested_by = options.requested_by;
  vm.node = settings.node;
  vm.store = source.store;
  vm.started_ms = base::now_ms();
  vm.domain_name = domain_name(prepared.point.machine_name, id);
  vm.accelerator = verdict.accelerator;
  vm.firmware = plan.firmware;
  vm.cpu_count = plan.cpu_count;
  vm.memory_size = plan.memory_size;
  vm.serial_log_path = paths.serial_path;
  vm.notes = plan.notes;
  vm.restart = options.purpose == Purpose::test ? RestartPolicy::wait : options.restart;
  vm.timeline = options.purpose == Purpose::test ? Timeline::production : options.timeline;
  if (verdict.accelerator == Accelerator::tcg)
    vm.notes.push_back("It runs without KVM. " + verdict.reason);
  for (const GuestDisk& disk : plan.disks) {
    vm.disks.push_back({.name = disk.name,
                        .target = disk.target,
                        .overlay_path = paths.overlay_path(disk.name),
                        .size = prepared.point.disk(disk.name).size});
  }
  vm.network_cards = cards_of(plan);
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
