// Three steps, each a group of functions below: read the definition into a plan (only what is known
// to be safe is taken over, so that a hostile or exotic definition cannot reach this appliance's
// files or devices), fill what it leaves open with defaults, and check the result against the
// appliance.
#include "appliance/boot/machine_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <pugixml.hpp>
#include <set>
#include <string_view>

#include "base/crypto.h"
#include "base/error.h"
#include "base/text.h"

namespace appliance::boot {
namespace {

using base::Error;
using base::ErrorCode;
using images::Firmware;
using pugi::xml_node;

constexpr uint64_t kMiB = 1ull << 20;
constexpr uint64_t kDefaultMemory = 1024 * kMiB;
constexpr uint64_t kDefaultWindowsMemory = 4096 * kMiB;
constexpr uint64_t kMinimumMemory = 16 * kMiB;
constexpr uint64_t kQemuOverhead = 128 * kMiB;  // beside the guest's memory
constexpr uint32_t kDefaultCpus = 2;
constexpr uint32_t kCpuLimit = 240;  // of QEMU's pc machines
constexpr size_t kDeviceLimit = 64;
constexpr size_t kIdeDiskLimit = 4;
constexpr uint64_t kUefiVariablesLimit = 4 * kMiB;

// ---- small readers

std::string attribute(const xml_node& node, const char* name) {
  return node.attribute(name).as_string();
}

Address attributes_of(const xml_node& node) {
  Address address;
  for (const pugi::xml_attribute& each : node.attributes())
    address.emplace_back(each.name(), each.value());
  return address;
}

// libvirt's units: powers of 1024 with or without "iB", powers of 1000 with "B"; KiB if none is
// given.
uint64_t memory_of(const xml_node& node) {
  uint64_t value = node.text().as_ullong();
  std::string unit = attribute(node, "unit");
  if (unit == "b" || unit == "bytes") return value;
  bool decimal = unit.size() == 2 && unit[1] == 'B';
  size_t power =
      unit.empty() ? 1 : std::string_view("bKMGT").find(static_cast<char>(std::toupper(unit[0])));
  if (power == std::string_view::npos) power = 1;
  for (size_t i = 0; i < power && value < (1ull << 50); ++i) value *= decimal ? 1000 : 1024;
  return value;
}

std::string fresh_uuid() {
  auto bytes = base::random_array<16>();
  bytes[6] = static_cast<uint8_t>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<uint8_t>((bytes[8] & 0x3f) | 0x80);
  std::string hex = base::to_hex(bytes);
  return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4),
                     hex.substr(16, 4), hex.substr(20));
}

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

bool is_uuid(const std::string& text) {
  return text.size() == 36 &&
         text.find_first_not_of("0123456789abcdefABCDEF-") == std::string::npos;
}

// ---- reading the definition

std::string read_machine_type(const std::string& asked, const HypervisorFacts& facts,
                              MachinePlan& plan) {
  bool is_pc = asked == "pc" || asked.starts_with("pc-i440fx") || asked.starts_with("pc-0.") ||
               asked.starts_with("pc-1.");
  plan.is_q35 = asked == "q35" || asked.starts_with("pc-q35");
  if (!is_pc && !plan.is_q35) {
    plan.is_q35 = plan.firmware == Firmware::uefi;
    plan.notes.push_back(fmt::format("The machine type '{}' is not one of a PC; it gets {}.", asked,
                                     plan.is_q35 ? "q35" : "pc"));
  }
  if ((is_pc || plan.is_q35) && facts.machine_types.contains(asked)) return asked;
  return plan.is_q35 ? "q35" : "pc";
}

DiskBus read_bus(const std::string& bus, bool is_q35, MachinePlan& plan, const std::string& disk) {
  if (bus == "virtio") return DiskBus::virtio;
  if (bus == "scsi") return DiskBus::scsi;
  if (bus == "sata") return DiskBus::sata;
  if (bus == "ide" && !is_q35) return DiskBus::ide;
  DiskBus instead = is_q35 ? DiskBus::sata : DiskBus::ide;
  plan.notes.push_back(
      fmt::format("Disk {} was on bus '{}', which is not offered here; it is on {}.", disk, bus,
                  disk_bus_name(instead)));
  return instead;
}

void read_disk(const xml_node& node, const images::Point& point, bool boots_by_disk,
               MachinePlan& plan) {
  xml_node target = node.child("target");
  std::string device = attribute(node, "device");
  std::string name = attribute(target, "dev");
  if (!device.empty() && device != "disk" && device != "lun") {
    plan.notes.push_back(fmt::format("The {} {} is left out.", device, name));
    return;
  }
  auto in_point = [&](const images::PointDisk& disk) { return disk.name == name; };
  if (std::none_of(point.disks.begin(), point.disks.end(), in_point)) {
    plan.notes.push_back(
        fmt::format("Disk {} of the definition is not in the point; it is left out.", name));
    return;
  }
  PlannedDisk disk;
  disk.name = disk.target = name;
  disk.bus = read_bus(attribute(target, "bus"), plan.is_q35, plan, name);
  disk.boot_order = node.child("boot").attribute("order").as_uint();
  if (boots_by_disk) disk.boot_order = static_cast<uint32_t>(plan.disks.size() + 1);
  disk.serial = node.child("serial").text().as_string();
  disk.wwn = node.child("wwn").text().as_string();
  disk.logical_block_size = node.child("blockio").attribute("logical_block_size").as_uint();
  disk.physical_block_size = node.child("blockio").attribute("physical_block_size").as_uint();
  std::string place = attribute(node.child("address"), "type");
  if (place == "pci" || place == "drive") disk.address = attributes_of(node.child("address"));
  plan.disks.push_back(std::move(disk));
}

void read_card(const xml_node& node, MachinePlan& plan) {
  static const std::set<std::string> kModels{"virtio",
                                             "virtio-transitional",
                                             "virtio-non-transitional",
                                             "e1000",
                                             "e1000e",
                                             "rtl8139",
                                             "pcnet",
                                             "ne2k_pci",
                                             "vmxnet3",
                                             "i82551"};
  PlannedCard card;
  card.mac = attribute(node.child("mac"), "address");
  card.model = attribute(node.child("model"), "type");
  if (attribute(node, "type") == "hostdev") {
    plan.notes.push_back(fmt::format(
        "The network card {} was passed through; it is an emulated one here.", card.mac));
    card.model.clear();
  } else if (!card.model.empty() && !kModels.contains(card.model)) {
    plan.notes.push_back(
        fmt::format("The network card model '{}' is not offered here.", card.model));
    card.model.clear();
  } else if (attribute(node.child("address"), "type") == "pci") {
    card.address = attributes_of(node.child("address"));
  }
  plan.cards.push_back(std::move(card));
}

void read_controller(const xml_node& node, MachinePlan& plan) {
  PlannedController controller;
  controller.type = attribute(node, "type");
  if (controller.type != "pci" && controller.type != "scsi" && controller.type != "sata") return;
  controller.index = attribute(node, "index");
  controller.model = attribute(node, "model");
  controller.pci_target = attributes_of(node.child("target"));
  controller.pci_model_name = attribute(node.child("model"), "name");
  if (attribute(node.child("address"), "type") == "pci")
    controller.address = attributes_of(node.child("address"));
  plan.controllers.push_back(std::move(controller));
}

void note_dropped_devices(const xml_node& devices, MachinePlan& plan) {
  static const std::vector<std::pair<const char*, const char*>> kDropped{
      {"hostdev", "passed-through devices"},
      {"filesystem", "shared folders"},
      {"redirdev", "redirected USB devices"},
      {"smartcard", "smart cards"},
      {"shmem", "shared memory"},
      {"vsock", "host sockets"},
      {"sound", "sound cards"},
      {"watchdog", "watchdogs"},
      {"nvram", "NVRAM devices"},
      {"parallel", "parallel ports"},
      {"lease", "lock leases"},
      {"memory", "memory modules"}};
  for (const auto& [element, words] : kDropped) {
    if (devices.child(element)) plan.notes.push_back(fmt::format("Left out: {}.", words));
  }
}

void read_devices(const xml_node& domain, const images::Point& point, MachinePlan& plan) {
  bool boots_by_disk = false;  // <os><boot dev='hd'/></os> instead of an order on devices
  for (const xml_node& boot : domain.child("os").children("boot"))
    boots_by_disk |= attribute(boot, "dev") == "hd";
  size_t count = 0;
  for (const xml_node& node : domain.child("devices").children()) {
    if (++count > 16 * kDeviceLimit) break;
    std::string_view kind = node.name();
    if (kind == "disk") read_disk(node, point, boots_by_disk, plan);
    if (kind == "interface" && plan.cards.size() < kDeviceLimit) read_card(node, plan);
    if (kind == "controller" && plan.controllers.size() < kDeviceLimit) read_controller(node, plan);
    if (kind == "input" && attribute(node, "type") == "tablet") plan.has_tablet = true;
    if (kind == "tpm") plan.has_tpm = true;
  }
  note_dropped_devices(domain.child("devices"), plan);
}

void read_features(const xml_node& domain, MachinePlan& plan) {
  static const std::set<std::string> kHyperv{
      "relaxed", "vapic", "vpindex", "runtime", "synic", "reset", "frequencies", "tlbflush", "ipi"};
  for (const xml_node& each : domain.child("features").child("hyperv").children()) {
    if (kHyperv.contains(each.name()) && attribute(each, "state") == "on")
      plan.hyperv.push_back(each.name());
  }
  std::string offset = attribute(domain.child("clock"), "offset");
  if (offset == "localtime") plan.clock_offset = offset;
  plan.is_windows |= !plan.hyperv.empty() || offset == "localtime";
  // libosinfo's element sits in a namespace; its id is a URL such as http://microsoft.com/win/2k22.
  auto is_microsoft = [](const xml_node& node) {
    return attribute(node, "id").find("microsoft.com") != std::string::npos;
  };
  plan.is_windows |= static_cast<bool>(domain.child("metadata").find_node(is_microsoft));
}

void read_firmware(const xml_node& domain, MachinePlan& plan) {
  xml_node os = domain.child("os");
  xml_node loader = os.child("loader");
  bool uefi = attribute(os, "firmware") == "efi" || attribute(loader, "type") == "pflash";
  plan.firmware = uefi ? Firmware::uefi : Firmware::bios;
  plan.secure_boot = attribute(loader, "secure") == "yes";
  for (const xml_node& feature : os.child("firmware").children("feature")) {
    if (attribute(feature, "name") == "secure-boot" && attribute(feature, "enabled") == "yes")
      plan.secure_boot = true;
  }
}

void check_architecture(const xml_node& domain, MachinePlan& plan) {
  std::string architecture = attribute(domain.child("os").child("type"), "arch");
  if (!architecture.empty() && architecture != "x86_64" && architecture != "i686") {
    plan.reasons.push_back(fmt::format(
        "it is a machine of architecture {}, this appliance runs x86_64", architecture));
  }
  std::string kind = domain.child("os").child("type").text().as_string();
  if (!kind.empty() && kind != "hvm") {
    plan.reasons.push_back(
        fmt::format("it is a '{}' guest, which only its own hypervisor can run", kind));
  }
  if (domain.child("os").child("kernel")) {
    plan.notes.push_back(
        "The old host gave it a kernel directly; it boots from its own disk here.");
  }
}

void read_definition(const images::Point& point, const BootOptions& options,
                     const HypervisorFacts& facts, MachinePlan& plan) {
  pugi::xml_document document;
  const std::string& xml = point.definition.libvirt_xml;
  pugi::xml_parse_result result = document.load_buffer(xml.data(), xml.size());
  xml_node domain = document.child("domain");
  if (!result || !domain) {
    throw Error(ErrorCode::corrupt, fmt::format("the definition of {} is no libvirt domain: {}",
                                                point.machine_name, result.description()));
  }
  check_architecture(domain, plan);
  plan.uuid = domain.child("uuid").text().as_string();
  read_firmware(domain, plan);
  if (point.definition.firmware != Firmware::unknown) plan.firmware = point.definition.firmware;
  if (options.firmware) plan.firmware = *options.firmware;
  plan.machine_type =
      read_machine_type(attribute(domain.child("os").child("type"), "machine"), facts, plan);
  plan.cpu_count = domain.child("vcpu").text().as_uint();
  if (domain.child("cpu").child("topology"))
    plan.cpu_topology = attributes_of(domain.child("cpu").child("topology"));
  plan.memory_size = memory_of(domain.child("memory"));
  read_features(domain, plan);
  read_devices(domain, point, plan);
}

// ---- defaults

void choose_firmware_and_type(const images::Point& point, const DiskLook& look,
                              const BootOptions& options, MachinePlan& plan) {
  plan.firmware = options.firmware.value_or(point.definition.firmware);
  if (plan.firmware == Firmware::unknown) {
    plan.firmware = firmware_of(look);
    plan.notes.push_back(fmt::format("The firmware was found from the partition table: {}.",
                                     plan.firmware == Firmware::uefi ? "UEFI" : "BIOS"));
  }
  // Windows boots only from a controller whose driver it has loaded before: on a UEFI machine that
  // was AHCI. Every other system brings PIIX IDE drivers along, and some small kernels have no
  // AHCI.
  DiskBus default_bus =
      plan.is_windows && plan.firmware == Firmware::uefi ? DiskBus::sata : DiskBus::ide;
  DiskBus bus = options.disk_bus.value_or(default_bus);
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
    auto same = [&](const PlannedDisk& disk) { return disk.name == each.name; };
    if (std::any_of(plan.disks.begin(), plan.disks.end(), same)) continue;
    PlannedDisk disk;
    disk.name = each.name;
    disk.bus = bus;
    plan.disks.push_back(std::move(disk));
  }
}

// Gives every disk a target name, unless the definition's names can stay; moves what IDE has no
// room for.
void place_disks(bool keep_names, MachinePlan& plan) {
  size_t ide_count = 0;
  for (PlannedDisk& disk : plan.disks) {
    if (disk.bus == DiskBus::ide && ++ide_count > kIdeDiskLimit) {
      disk.bus = DiskBus::sata;
      keep_names = false;
    }
  }
  std::set<std::string> used;
  for (const PlannedDisk& disk : plan.disks) {
    if (keep_names) used.insert(disk.target);
  }
  for (PlannedDisk& disk : plan.disks) {
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
  for (PlannedDisk& disk : plan.disks) {
    if (!options.disk_bus || disk.bus == *options.disk_bus) continue;
    disk.bus = *options.disk_bus;
    disk.address.clear();
    moved = true;
  }
  if (moved)
    std::erase_if(plan.controllers,
                  [](const PlannedController& each) { return each.type != "pci"; });
  place_disks(!moved, plan);
  auto ordered = [](const PlannedDisk& disk) { return disk.boot_order != 0; };
  if (std::none_of(plan.disks.begin(), plan.disks.end(), ordered)) {
    for (size_t i = 0; i < plan.disks.size(); ++i)
      plan.disks[i].boot_order = static_cast<uint32_t>(i + 1);
  }
}

void settle_cards(const images::Point& point, const BootOptions& options, MachinePlan& plan) {
  if (point.definition.libvirt_xml.empty()) {
    for (const images::NetworkCard& card : point.definition.network_cards) {
      if (plan.cards.size() < kDeviceLimit)
        plan.cards.push_back({.mac = card.mac, .model = card.model, .source = {}, .address = {}});
    }
    if (point.definition.network_cards.empty()) plan.cards.push_back({});
  }
  const char* default_model = !plan.is_windows ? "virtio" : plan.is_q35 ? "e1000e" : "e1000";
  for (size_t i = 0; i < plan.cards.size(); ++i) {
    PlannedCard& card = plan.cards[i];
    NetworkChoice choice;
    if (!options.networks.empty())
      choice = options.networks[std::min(i, options.networks.size() - 1)];
    card.mode = choice.mode;
    card.source = choice.bridge;
    if (card.model.empty()) card.model = default_model;
    if (options.macs == MacChoice::fresh || !is_usable_mac(card.mac)) card.mac = fresh_mac();
  }
  std::erase_if(plan.cards, [](const PlannedCard& card) { return card.mode == NetworkMode::none; });
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

// ---- checks

void check_plan(const HypervisorFacts& facts, MachinePlan& plan) {
  if (plan.disks.empty()) plan.reasons.push_back("the point has no disk");
  if (plan.firmware == Firmware::uefi && facts.uefi_firmwares.empty()) {
    plan.reasons.push_back(
        "it boots by UEFI, and no UEFI firmware is installed: install the package ovmf");
  }
  for (const PlannedDisk& disk : plan.disks) {
    if (disk.bus == DiskBus::ide && plan.is_q35) {
      plan.reasons.push_back(
          fmt::format("disk {} cannot be on IDE in a q35 machine: choose sata", disk.name));
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
        "it wants {} of memory and {} is available: give it less, or stop another VM",
        base::format_size(plan.memory_size), base::format_size(facts.memory_available)));
  }
  if (plan.has_tpm && !facts.has_tpm) {
    plan.has_tpm = false;
    plan.notes.push_back("The TPM is left out: the package swtpm is not installed.");
  }
}

}  // namespace

MachinePlan plan_machine(const images::Point& point, const DiskLook& look,
                         const BootOptions& options, const HypervisorFacts& facts) {
  MachinePlan plan;
  plan.is_windows = look.has_windows;
  if (!point.definition.libvirt_xml.empty()) {
    read_definition(point, options, facts, plan);
  } else {
    plan.cpu_count = 0;
    plan.has_tablet = plan.is_windows;
    choose_firmware_and_type(point, look, options, plan);
  }
  settle_disks(point, options, plan);
  settle_cards(point, options, plan);
  settle_size(point, options, facts, plan);
  settle_identity(options, facts, plan);
  settle_uefi(point, facts, plan);
  check_plan(facts, plan);
  return plan;
}

}  // namespace appliance::boot
