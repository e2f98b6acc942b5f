// Three steps: read the definition into a plan (definition_reading.cc), fill what it leaves open
// with defaults, and check the result against the appliance.
#include "appliance/boot/machine/machine_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "appliance/boot/machine/definition_reading.h"
#include "base/clean_text.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "base/xml/xml_tree.h"

namespace appliance::boot {
namespace {

using images::Firmware;

constexpr uint64_t kMiB = 1ull << 20;
constexpr uint64_t kDefaultMemory = 1024 * kMiB;
constexpr uint64_t kDefaultWindowsMemory = 4096 * kMiB;
constexpr uint64_t kMinimumMemory = 16 * kMiB;
constexpr uint64_t kQemuOverhead = 128 * kMiB;  // in addition to the guest's memory
constexpr uint32_t kDefaultCpus = 2;
constexpr uint32_t kCpuLimit = 240;  // of QEMU's pc machines
constexpr size_t kDeviceLimit = 64;
constexpr size_t kSentenceLimit = 100;
constexpr size_t kSentenceSize = 600;  // bytes
constexpr size_t kIdeDiskLimit = 4;
constexpr uint32_t kAtaSector = 512;  // bytes, of QEMU's IDE and SATA disks
constexpr uint64_t kUefiVariablesLimit = 4 * kMiB;
constexpr uint64_t kTpmStateLimit = 16 * kMiB;

std::string fresh_mac() {
  auto bytes = base::random_array<3>();
  return fmt::format("52:54:00:{:02x}:{:02x}:{:02x}", bytes[0], bytes[1], bytes[2]);
}

// Six bytes in hex, of one station.
bool is_usable_mac(const std::string& mac) {
  std::vector<std::string> parts = base::split(mac, ':');
  auto is_byte = [](const std::string& part) {
    return part.size() == 2 &&
           part.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
  };
  return parts.size() == 6 && std::all_of(parts.begin(), parts.end(), is_byte) &&
         std::stoi(parts[0], nullptr, 16) % 2 == 0 && mac != "00:00:00:00:00:00";
}

// As libvirt writes it: five groups in lower case. Another spelling would not be found again.
bool is_uuid(const std::string& text) {
  if (text.size() != 36) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-'
             : std::string_view("0123456789abcdef").find(text[i]) == std::string_view::npos)
      return false;
  }
  return true;
}

std::string in_lower_case(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

void choose_firmware_and_type(const images::Point& point, const DiskInspection& inspection,
                              const BootOptions& options, MachinePlan& plan) {
  plan.firmware = options.firmware.value_or(point.definition.firmware);
  if (plan.firmware == Firmware::unknown) {
    plan.firmware = firmware_of(inspection);
    plan.notes.push_back(fmt::format("The firmware was found from the partition table: {}.",
                                     plan.firmware == Firmware::uefi ? "UEFI" : "BIOS"));
  }
  // Windows boots only from a controller whose driver it loads at boot: computers of the last
  // fifteen years have AHCI. Every other system has PIIX IDE drivers, and some small kernels have
  // no AHCI.
  DiskBus bus = options.disk_bus.value_or(plan.is_windows ? DiskBus::sata : DiskBus::ide);
  if (plan.is_windows && !options.disk_bus) {
    plan.notes.push_back(
        "It is Windows, and its former hardware is unknown: it gets SATA disks. If "
        "it stops with 0x7B (INACCESSIBLE_BOOT_DEVICE), it was installed on IDE: "
        "start it with the disk bus ide.");
  }
  plan.is_q35 = bus == DiskBus::sata;
  plan.machine_type = plan.is_q35 ? "q35" : "pc";
}

// Names as the guest's firmware counts them: the n-th disk of a family of buses.
std::string target_name(DiskBus bus, size_t number) {
  std::string letters;
  for (size_t rest = number + 1; rest > 0; rest = (rest - 1) / 26) {
    letters.insert(letters.begin(), static_cast<char>('a' + (rest - 1) % 26));
  }
  return (bus == DiskBus::virtio ? "vd" : bus == DiskBus::ide ? "hd" : "sd") + letters;
}

void add_missing_disks(const images::Point& point, DiskBus bus, MachinePlan& plan) {
  for (const images::PointDisk& each : point.disks) {
    auto same = [&](const GuestDisk& disk) { return disk.name == each.name; };
    if (std::any_of(plan.disks.begin(), plan.disks.end(), same)) continue;
    GuestDisk disk;
    disk.name = each.name;
    disk.bus = bus;
    plan.disks.push_back(std::move(disk));
  }
}

// Gives every disk a target name, unless the definition's names can be kept; moves what does not
// fit on IDE.
void place_disks(bool keep_names, MachinePlan& plan) {
  size_t ide_count = 0;
  for (GuestDisk& disk : plan.disks) {
    if (disk.bus == DiskBus::ide && ++ide_count > kIdeDiskLimit) {
      disk.bus = DiskBus::sata;
      disk.address.clear();
      keep_names = false;
    }
  }
  std::set<std::string> used;
  for (const GuestDisk& disk : plan.disks) {
    if (keep_names) used.insert(disk.target);
  }
  for (GuestDisk& disk : plan.disks) {
    if (keep_names && !disk.target.empty()) continue;
    size_t number = 0;
    while (used.contains(target_name(disk.bus, number))) ++number;
    disk.target = target_name(disk.bus, number);
    used.insert(disk.target);
  }
}

void settle_disks(const images::Point& point, const BootOptions& options, MachinePlan& plan) {
  DiskBus fallback =
      plan.disks.empty() ? (plan.is_q35 ? DiskBus::sata : DiskBus::ide) : plan.disks.front().bus;
  add_missing_disks(point, options.disk_bus.value_or(fallback), plan);
  bool moved = false;
  for (GuestDisk& disk : plan.disks) {
    if (!options.disk_bus || disk.bus == *options.disk_bus) continue;
    disk.bus = *options.disk_bus;
    moved = true;
  }
  if (moved) {
    // Also those that were on that bus already: their places may be those of the ones that come.
    for (GuestDisk& disk : plan.disks) disk.address.clear();
    std::erase_if(plan.controllers,
                  [](const PlannedController& each) { return each.type != "pci"; });
  }
  place_disks(!moved, plan);
  auto ordered = [](const GuestDisk& disk) { return disk.boot_order != 0; };
  if (std::none_of(plan.disks.begin(), plan.disks.end(), ordered)) {
    for (size_t i = 0; i < plan.disks.size(); ++i)
      plan.disks[i].boot_order = static_cast<uint32_t>(i + 1);
  }
}

// A disk whose table of partitions counts in sectors of 4096 bytes can be read with no others.
void settle_sectors(const DiskInspection& inspection, MachinePlan& plan) {
  constexpr uint32_t kLarge = 4096;
  if (inspection.sector_size != kLarge) return;
  for (GuestDisk& disk : plan.disks) {
    if (disk.name != inspection.disk_name || disk.logical_block_size == kLarge) continue;
    disk.logical_block_size = disk.physical_block_size = kLarge;
    plan.notes.push_back(fmt::format(
        "Disk {} has sectors of 4096 bytes, as its table of partitions says.", disk.name));
  }
}

void settle_cards(const images::Point& point, const DiskInspection& inspection,
                  const BootOptions& options, MachinePlan& plan) {
  if (point.definition.libvirt_xml.empty()) {
    for (const images::NetworkCard& card : point.definition.network_cards) {
      if (plan.cards.size() < kDeviceLimit)
        plan.cards.push_back({.mac = card.mac, .model = card.model, .source = {}, .address = {}});
    }
    if (point.definition.network_cards.empty()) plan.cards.push_back({});
  }
  bool is_virtio = !plan.is_windows || inspection.has_virtio_network;
  const char* default_model = is_virtio ? "virtio" : plan.is_q35 ? "e1000e" : "e1000";
  for (size_t i = 0; i < plan.cards.size(); ++i) {
    GuestCard& card = plan.cards[i];
    NetworkChoice choice;
    if (!options.networks.empty())
      choice = options.networks[std::min(i, options.networks.size() - 1)];
    card.mode = choice.mode;
    card.source = choice.name;
    if (card.model.empty()) card.model = default_model;
    if (options.macs == MacChoice::fresh || !is_usable_mac(card.mac)) card.mac = fresh_mac();
  }
  if (options.networks.size() > std::max<size_t>(plan.cards.size(), 1)) {
    plan.reasons.push_back(fmt::format("{} are given, and it has {}",
                                       base::format_count(options.networks.size(), "network"),
                                       base::format_count(plan.cards.size(), "network card")));
  } else if (plan.cards.empty() && !options.networks.empty() &&
             options.networks.front().mode != NetworkMode::none) {
    plan.notes.push_back("It has no network card, so the network that is given connects nothing.");
  }
  std::erase_if(plan.cards, [](const GuestCard& card) { return card.mode == NetworkMode::none; });
}

void settle_size(const images::Point& point, const BootOptions& options,
                 const HypervisorFacts& facts, MachinePlan& plan) {
  uint32_t cpus = point.definition.cpu_count != 0 ? point.definition.cpu_count : plan.cpu_count;
  if (cpus == 0) cpus = std::min(kDefaultCpus, std::max(facts.cpu_count, 1u));
  if (options.cpu_count) {
    cpus = *options.cpu_count;
  } else if (facts.cpu_count != 0 && cpus > facts.cpu_count) {
    plan.notes.push_back(fmt::format("It had {} CPUs and gets {}: the appliance has no more.", cpus,
                                     facts.cpu_count));
    cpus = facts.cpu_count;
  }
  if (cpus != plan.cpu_count) plan.cpu_topology.clear();
  plan.cpu_count = cpus;

  uint64_t memory =
      point.definition.memory_size != 0 ? point.definition.memory_size : plan.memory_size;
  if (memory == 0) memory = plan.is_windows ? kDefaultWindowsMemory : kDefaultMemory;
  memory = options.memory_size.value_or(memory);
  plan.memory_size = (memory / kMiB + (memory % kMiB != 0 ? 1 : 0)) * kMiB;
}

void settle_identity(const BootOptions& options, const HypervisorFacts& facts, MachinePlan& plan) {
  plan.uuid = in_lower_case(plan.uuid);
  auto taken = [&](const std::string& uuid) { return uuid == plan.uuid; };
  bool free = std::none_of(facts.domain_uuids.begin(), facts.domain_uuids.end(), taken);
  if (is_uuid(plan.uuid) && options.purpose == Purpose::instant && free) return;
  plan.uuid = fresh_uuid();
}

void settle_uefi(const images::Point& point, const HypervisorFacts& facts, MachinePlan& plan) {
  if (plan.firmware != Firmware::uefi) {
    plan.secure_boot = false;
    return;
  }
  for (const auto& [name, content] : point.definition.state_files) {
    if (name == "nvram" && content.size() <= kUefiVariablesLimit) plan.uefi_variables = content;
  }
  auto fits = [&](bool secure) {
    return std::any_of(
        facts.uefi_firmwares.begin(), facts.uefi_firmwares.end(), [&](const UefiFirmware& each) {
          return each.secure_boot == secure &&
                 (plan.uefi_variables.empty() || each.variables_size == plan.uefi_variables.size());
        });
  };
  // Secure boot is worth keeping only with the keys, which are among the variables.
  if (plan.secure_boot && (plan.uefi_variables.empty() || !plan.is_q35 || !fits(true))) {
    plan.secure_boot = false;
    plan.notes.push_back("Secure boot is off: the machine's keys were not captured or do not fit.");
  }
  if (!plan.uefi_variables.empty() && !fits(plan.secure_boot)) {
    plan.uefi_variables.clear();
    plan.notes.push_back(
        "The captured UEFI variables fit no firmware here; it boots by the disk's default loader.");
  }
}

// With new variables, firmware knows no loader but the one with the default name.
void settle_boot_entry(const DiskInspection& inspection, MachinePlan& plan) {
  if (plan.firmware != Firmware::uefi || !plan.uefi_variables.empty() || !inspection.efi) return;
  const EfiPartition& efi = *inspection.efi;
  if (!efi.is_readable || efi.has_default_loader) return;
  if (efi.loader.empty()) {
    plan.notes.push_back(
        "No boot loader is in the EFI system partition: the firmware will find nothing to start.");
    return;
  }
  plan.boot_entry = UefiBootEntry{plan.is_windows ? "Windows Boot Manager" : "Muletto",
                                  efi.loader,
                                  efi.number,
                                  efi.start,
                                  efi.size,
                                  efi.id};
  plan.notes.push_back(
      fmt::format("Its boot entry was not captured: it gets one for {}.", efi.loader));
}

// An emulated TPM keeps its content; everything else gets a new one.
void settle_tpm(const images::Point& point, const HypervisorFacts& facts, MachinePlan& plan) {
  if (!plan.has_tpm) return;
  if (!facts.has_tpm) {
    plan.has_tpm = false;
    plan.notes.push_back(
        "The TPM is left out: the packages swtpm and swtpm-tools are not installed. "
        "The guest will ask for what it has sealed with it, such as BitLocker's key.");
    return;
  }
  for (const auto& [name, content] : point.definition.state_files) {
    if (name == "tpm" && content.size() <= kTpmStateLimit && plan.tpm_is_readable)
      plan.tpm_state = content;
  }
  if (plan.tpm_state.empty()) {
    plan.notes.push_back(
        "The TPM's content is not in the point: it gets an empty one, and the guest "
        "will ask for what it has sealed with the old one, such as BitLocker's key.");
  }
}

// ---- checks

void check_plan(const HypervisorFacts& facts, MachinePlan& plan) {
  if (plan.disks.empty()) plan.reasons.push_back("the point has no disk");
  if (plan.firmware == Firmware::uefi && facts.uefi_firmwares.empty()) {
    plan.reasons.push_back(
        "it boots by UEFI, and no UEFI firmware is installed: install the package ovmf");
  }
  for (const GuestDisk& disk : plan.disks) {
    if (disk.bus == DiskBus::ide && plan.is_q35) {
      plan.reasons.push_back(
          fmt::format("disk {} cannot be on IDE in a q35 machine: choose sata", disk.name));
    }
    bool is_ata = disk.bus == DiskBus::ide || disk.bus == DiskBus::sata;
    if (is_ata && disk.logical_block_size > kAtaSector) {
      plan.reasons.push_back(
          fmt::format("disk {} has sectors of {} bytes, which cannot be on {}: choose --disk-bus "
                      "virtio or scsi",
                      disk.name, disk.logical_block_size, disk_bus_name(disk.bus)));
    }
  }
  if (plan.cpu_count == 0 || plan.cpu_count > kCpuLimit) {
    plan.reasons.push_back(
        fmt::format("{} CPUs are not possible: 1 to {}", plan.cpu_count, kCpuLimit));
  }
  if (plan.memory_size < kMinimumMemory) {
    plan.reasons.push_back(
        fmt::format("{} of memory is too little", base::format_size(plan.memory_size)));
  }
  if (plan.memory_size > facts.memory_available ||
      plan.memory_size + kQemuOverhead > facts.memory_available) {
    plan.reasons.push_back(fmt::format(
        "it needs {} of memory and {} is available: give it less, or stop another VM",
        base::format_size(plan.memory_size), base::format_size(facts.memory_available)));
  }
}

// Notes and reasons are kept in the VM's record, shown and logged; parts of them come from the
// definition.
void bound_sentences(std::vector<std::string>& sentences) {
  size_t left_out = sentences.size() > kSentenceLimit ? sentences.size() - kSentenceLimit : 0;
  sentences.resize(sentences.size() - left_out);
  for (std::string& each : sentences) each = base::clean_text(each, kSentenceSize);
  if (left_out != 0) sentences.push_back(fmt::format("{} more are left out.", left_out));
}

}  // namespace

std::string fresh_uuid() {
  auto bytes = base::random_array<16>();
  bytes[6] = static_cast<uint8_t>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<uint8_t>((bytes[8] & 0x3f) | 0x80);
  std::string hex = base::to_hex(bytes);
  return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4),
                     hex.substr(16, 4), hex.substr(20));
}

base::Bytes pack_xml_here(std::string_view xml, MachinePlan&) { return base::xml::pack_xml(xml); }

base::Bytes pack_xml_without_rights(std::string_view xml, MachinePlan& plan) {
  try {
    return base::xml::pack_xml_confined(xml);
  } catch (const base::Error& error) {
    if (error.code() != base::ErrorCode::unavailable) throw;
    plan.notes.push_back(
        fmt::format("Its definition was parsed with the appliance's own privileges, since it "
                    "could not be parsed without: {}.",
                    error.message()));
    base::log().warn("a definition is parsed unconfined: {}", error.message());
    return base::xml::pack_xml(xml);
  }
}

MachinePlan plan_machine(const images::Point& point, const DiskInspection& inspection,
                         const BootOptions& wanted, const HypervisorFacts& facts,
                         const XmlPacker& packer) {
  MachinePlan plan;
  BootOptions options = wanted;
  // No ATA disk has large sectors.
  if (point.definition.libvirt_xml.empty() && inspection.sector_size > kAtaSector &&
      !wanted.disk_bus)
    options.disk_bus = DiskBus::scsi;
  plan.is_windows = inspection.has_windows;
  bool has_virtio = inspection.has_virtio_disk || inspection.has_virtio_scsi;
  if (plan.is_windows && point.definition.libvirt_xml.empty() && !options.disk_bus && has_virtio) {
    options.disk_bus = inspection.has_virtio_disk ? DiskBus::virtio : DiskBus::scsi;
    plan.notes.push_back(fmt::format(
        "Its Windows has had VirtIO disks and starts their driver: it gets disks on {}.",
        disk_bus_name(*options.disk_bus)));
  }
  if (!point.definition.libvirt_xml.empty()) {
    read_definition(point, options, facts, packer, plan);
  } else {
    plan.cpu_count = 0;
    plan.has_tablet = plan.is_windows;
    choose_firmware_and_type(point, inspection, options, plan);
  }
  settle_disks(point, options, plan);
  settle_sectors(inspection, plan);
  settle_cards(point, inspection, options, plan);
  settle_size(point, options, facts, plan);
  settle_identity(options, facts, plan);
  settle_uefi(point, facts, plan);
  settle_boot_entry(inspection, plan);
  settle_tpm(point, facts, plan);
  check_plan(facts, plan);
  bound_sentences(plan.notes);
  bound_sentences(plan.reasons);
  return plan;
}

}  // namespace appliance::boot
