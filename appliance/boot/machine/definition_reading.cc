// Reading a libvirt definition into a plan: only what is known to be safe is copied, so that a
// hostile or exotic definition cannot reach this appliance's files or devices.
#include "appliance/boot/machine/definition_reading.h"

#include <fmt/format.h>

#include <algorithm>
#include <pugixml.hpp>
#include <set>
#include <string_view>

#include "base/clean_text.h"
#include "base/error.h"
#include "base/xml/xml_tree.h"

namespace appliance::boot {
namespace {

using base::Error;
using base::ErrorCode;
using images::Firmware;
using pugi::xml_node;

constexpr size_t kDeviceLimit = 64;
constexpr size_t kTextLimit = 200;      // bytes of one attribute or text
constexpr size_t kAttributeLimit = 16;  // of one element

// A definition may contain any character, and references to surrogates become bytes that are not
// UTF-8: nothing of it is used before it is sanitized.
std::string clean(const char* text) { return base::clean_text(text, kTextLimit); }

std::string attribute(const xml_node& node, const char* name) {
  return clean(node.attribute(name).as_string());
}

std::string text_of(const xml_node& node) { return clean(node.text().as_string()); }

Address attributes_of(const xml_node& node) {
  Address address;
  for (const pugi::xml_attribute& each : node.attributes()) {
    if (address.size() < kAttributeLimit)
      address.emplace_back(clean(each.name()), clean(each.value()));
  }
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

std::string read_machine_type(const std::string& asked, const HypervisorFacts& facts,
                              MachinePlan& plan) {
  bool is_pc = asked == "pc" || asked.starts_with("pc-i440fx") || asked.starts_with("pc-0.") ||
               asked.starts_with("pc-1.");
  plan.is_q35 = asked == "q35" || asked.starts_with("pc-q35");
  if (!is_pc && !plan.is_q35) {
    plan.is_q35 = plan.firmware == Firmware::uefi;
    plan.notes.push_back(fmt::format("The machine type '{}' is not that of a PC; it gets {}.",
                                     asked, plan.is_q35 ? "q35" : "pc"));
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
      fmt::format("Disk {} was on bus '{}', which is not available here; it is on {}.", disk, bus,
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
  GuestDisk disk;
  disk.name = disk.target = name;
  disk.bus = read_bus(attribute(target, "bus"), plan.is_q35, plan, name);
  disk.boot_order = node.child("boot").attribute("order").as_uint();
  if (boots_by_disk) disk.boot_order = static_cast<uint32_t>(plan.disks.size() + 1);
  disk.serial = text_of(node.child("serial"));
  disk.wwn = text_of(node.child("wwn"));
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
  GuestCard card;
  card.mac = attribute(node.child("mac"), "address");
  card.model = attribute(node.child("model"), "type");
  if (attribute(node, "type") == "hostdev") {
    plan.notes.push_back(
        fmt::format("The network card {} was passed through; here it is emulated.", card.mac));
    card.model.clear();
  } else if (!card.model.empty() && !kModels.contains(card.model)) {
    plan.notes.push_back(
        fmt::format("The network card model '{}' is not available here.", card.model));
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

// Only the state of an emulated TPM 2.0 is captured.
void read_tpm(const xml_node& node, MachinePlan& plan) {
  xml_node backend = node.child("backend");
  std::string type = attribute(backend, "type"), model = attribute(node, "model");
  plan.has_tpm = true;
  if (model == "tpm-crb" || model == "tpm-tis") plan.tpm_model = model;
  bool old_version = attribute(backend, "version") == "1.2";
  if (type != "emulator" || old_version || backend.child("encryption")) {
    plan.tpm_is_readable = false;
    plan.notes.push_back(type != "emulator" ? "The old host's own TPM cannot be used here."
                         : old_version
                             ? "It had a TPM 1.2 and gets a TPM 2.0."
                             : "The TPM's state is encrypted with the old host's secret.");
  }
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
    if (kind == "tpm") read_tpm(node, plan);
  }
  note_dropped_devices(domain.child("devices"), plan);
}

bool consists_of(const std::string& text, std::string_view characters) {
  return !text.empty() && text.find_first_not_of(characters) == std::string::npos;
}

// What the old host's clock showed is shown here. libvirt reads a zone's name as a file's.
void read_clock(const xml_node& node, MachinePlan& plan) {
  std::string offset = attribute(node, "offset");
  constexpr std::string_view kNumber = "-0123456789";
  constexpr std::string_view kZone =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_+-";
  std::string zone = attribute(node, "timezone"), adjustment = attribute(node, "adjustment");
  std::string basis = attribute(node, "basis"), start = attribute(node, "start");
  if (offset == "localtime") {
    plan.clock = {{"offset", offset}};
  } else if (offset == "timezone" && consists_of(zone, kZone)) {
    plan.clock = {{"offset", offset}, {"timezone", zone}};
  } else if (offset == "variable" && consists_of(adjustment, kNumber)) {
    plan.clock = {{"offset", offset},
                  {"adjustment", adjustment},
                  {"basis", basis == "localtime" ? basis : "utc"}};
  } else if (offset == "absolute" && consists_of(start, kNumber)) {
    plan.clock = {{"offset", offset}, {"start", start}};
  } else if (!offset.empty() && offset != "utc") {
    plan.notes.push_back(fmt::format(
        "Its clock was kept in a way that is not known here ('{}'): it shows UTC.", offset));
  }
}

// The texts by which some software knows its computer, and cloud-init its configuration.
void read_smbios(const xml_node& domain, MachinePlan& plan) {
  static const std::set<std::string> kBlocks{"bios", "system", "baseBoard", "chassis",
                                             "oemStrings"};
  constexpr size_t kMaxTexts = 64;
  std::string mode = attribute(domain.child("os").child("smbios"), "mode");
  if (mode == "host")
    plan.notes.emplace_back("It showed the old host's SMBIOS texts, which are not in the point.");
  for (const xml_node& info : domain.children("sysinfo")) {
    if (attribute(info, "type") != "smbios") {
      plan.notes.push_back(fmt::format("Left out: information of type '{}' for its firmware.",
                                       attribute(info, "type")));
      continue;
    }
    if (mode != "sysinfo") continue;
    for (const xml_node& block : info.children()) {
      if (!kBlocks.contains(block.name())) continue;
      for (const xml_node& entry : block.children("entry")) {
        std::string name = attribute(entry, "name");
        // libvirt wants this one to be the domain's, which may be another here.
        bool is_uuid = std::string_view(block.name()) == "system" && name == "uuid";
        if (is_uuid || plan.smbios_texts.size() >= kMaxTexts) continue;
        plan.smbios_texts.push_back({block.name(), name, text_of(entry)});
      }
    }
  }
  if (domain.child("qemu:commandline").child("qemu:arg"))
    plan.notes.emplace_back("Left out: arguments that QEMU got directly (qemu:commandline).");
}

void read_features(const xml_node& domain, MachinePlan& plan) {
  static const std::set<std::string> kHyperv{
      "relaxed", "vapic", "vpindex", "runtime", "synic", "reset", "frequencies", "tlbflush", "ipi"};
  for (const xml_node& each : domain.child("features").child("hyperv").children()) {
    if (kHyperv.contains(each.name()) && attribute(each, "state") == "on")
      plan.hyperv.push_back(each.name());
  }
  std::string offset = attribute(domain.child("clock"), "offset");
  read_clock(domain.child("clock"), plan);
  plan.is_windows |= !plan.hyperv.empty() || offset == "localtime";
  // libosinfo's element is in a namespace; its id is a URL such as http://microsoft.com/win/2k22.
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
        "The old host passed it a kernel directly; here it boots from its own disk.");
  }
}

}  // namespace

void read_definition(const images::Point& point, const BootOptions& options,
                     const HypervisorFacts& facts, const XmlPacker& packer, MachinePlan& plan) {
  pugi::xml_document document;
  try {
    base::xml::unpack_xml(packer(point.definition.libvirt_xml, plan), document);
  } catch (const Error& error) {
    throw Error(ErrorCode::corrupt, fmt::format("the definition of {} is not a libvirt domain: {}",
                                                point.machine_name, error.message()));
  }
  xml_node domain = document.child("domain");
  if (!domain) {
    throw Error(
        ErrorCode::corrupt,
        fmt::format("the definition of {} is not a libvirt domain: it has another root element",
                    point.machine_name));
  }
  check_architecture(domain, plan);
  plan.uuid = text_of(domain.child("uuid"));
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
  read_smbios(domain, plan);
  read_devices(domain, point, plan);
}

}  // namespace appliance::boot
