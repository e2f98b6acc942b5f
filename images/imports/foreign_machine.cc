#include "images/imports/foreign_machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <pugixml.hpp>
#include <sstream>

#include "base/clean_text.h"
#include "base/error.h"
#include "base/text.h"

namespace images {
namespace {

using pugi::xml_node;

constexpr size_t kMaxText = 200;  // bytes
constexpr uint32_t kMaxCpus = 1024;
constexpr uint64_t kMaxMemory = 64ull << 40;  // bytes

std::string clean(const std::string& text) { return base::clean_text(text, kMaxText); }

void set(xml_node node, const char* name, const std::string& value) {
  node.append_attribute(name) = value.c_str();
}

xml_node add_text(xml_node parent, const char* name, const std::string& text) {
  xml_node node = parent.append_child(name);
  node.text() = text.c_str();
  return node;
}

// "a", …, "z", "aa", …
std::string letters_of(size_t number) {
  std::string letters;
  for (size_t rest = number + 1; rest > 0; rest = (rest - 1) / 26)
    letters.insert(letters.begin(), static_cast<char>('a' + (rest - 1) % 26));
  return letters;
}

const char* bus_name(ForeignBus bus) {
  switch (bus) {
    case ForeignBus::virtio: return "virtio";
    case ForeignBus::scsi: return "scsi";
    case ForeignBus::sata: return "sata";
    case ForeignBus::ide: return "ide";
  }
  return "";
}

// As libvirt writes it; empty: it is none.
std::string uuid_of(const std::string& text) {
  std::string digits;
  for (char each : text) {
    if (std::isxdigit(static_cast<unsigned char>(each)) != 0)
      digits += static_cast<char>(std::tolower(static_cast<unsigned char>(each)));
  }
  if (digits.size() != 32) return "";
  return fmt::format("{}-{}-{}-{}-{}", digits.substr(0, 8), digits.substr(8, 4),
                     digits.substr(12, 4), digits.substr(16, 4), digits.substr(20));
}

// How many places the controllers of QEMU have.
uint32_t place_limit(const std::string& controller_model) {
  if (controller_model == "vmpvscsi") return 64;
  if (controller_model == "lsilogic") return 7;
  if (controller_model == "lsisas1068") return 8;
  return 255;
}

// The buses that can be had here. IDE has four places, and none on q35.
std::vector<ForeignDisk> placed_disks(const ForeignMachine& machine,
                                      std::vector<std::string>& notes) {
  std::vector<ForeignDisk> disks = machine.disks;
  size_t ide_count = 0;
  for (ForeignDisk& disk : disks) {
    bool is_scsi = disk.bus == ForeignBus::scsi;
    bool fits = true;
    if (is_scsi)
      fits = !disk.controller_model.empty() && disk.unit < place_limit(disk.controller_model) &&
             disk.controller < 32;
    if (disk.bus == ForeignBus::ide) fits = !machine.is_q35 && ++ide_count <= 4;
    if (fits) continue;
    notes.push_back(fmt::format(
        "disk {} was on a controller that cannot be had here: it is on SATA", clean(disk.label)));
    disk.bus = ForeignBus::sata;
  }
  return disks;
}

void add_disk(xml_node devices, const ForeignDisk& disk, const std::string& name) {
  xml_node node = devices.append_child("disk");
  set(node, "type", "file");
  set(node, "device", "disk");
  xml_node target = node.append_child("target");
  set(target, "dev", name);
  set(target, "bus", bus_name(disk.bus));
  if (disk.boot_order != 0)
    set(node.append_child("boot"), "order", std::to_string(disk.boot_order));
  if (disk.bus != ForeignBus::scsi) return;
  xml_node address = node.append_child("address");
  bool by_unit = disk.controller_model == "lsilogic";
  set(address, "type", "drive");
  set(address, "controller", std::to_string(disk.controller));
  set(address, "bus", "0");
  set(address, "target", by_unit ? "0" : std::to_string(disk.unit));
  set(address, "unit", by_unit ? std::to_string(disk.unit) : "0");
}

void add_controllers(xml_node devices, const std::vector<ForeignDisk>& disks) {
  std::map<uint32_t, std::string> models;
  for (const ForeignDisk& disk : disks) {
    if (disk.bus == ForeignBus::scsi) models.emplace(disk.controller, disk.controller_model);
  }
  for (const auto& [index, model] : models) {
    xml_node node = devices.append_child("controller");
    set(node, "type", "scsi");
    set(node, "index", std::to_string(index));
    set(node, "model", model);
  }
}

void add_cards(xml_node devices, const ForeignMachine& machine, MachineDefinition& definition) {
  for (const ForeignCard& card : machine.cards) {
    if (definition.network_cards.size() >= kMaxForeignCards) break;
    definition.network_cards.push_back({clean(card.mac), clean(card.model), clean(card.network)});
    xml_node node = devices.append_child("interface");
    set(node, "type", "bridge");
    if (!card.mac.empty()) set(node.append_child("mac"), "address", clean(card.mac));
    set(node.append_child("source"), "bridge", clean(card.network));
    if (!card.model.empty()) set(node.append_child("model"), "type", clean(card.model));
  }
}

void add_system(xml_node domain, const ForeignMachine& machine, Firmware firmware) {
  xml_node os = domain.append_child("os");
  if (firmware == Firmware::uefi) set(os, "firmware", "efi");
  xml_node type = add_text(os, "type", "hvm");
  set(type, "arch", "x86_64");
  set(type, "machine", machine.is_q35 ? "q35" : "pc");
  if (machine.secure_boot) {
    xml_node feature = os.append_child("firmware").append_child("feature");
    set(feature, "enabled", "yes");
    set(feature, "name", "secure-boot");
  }
  xml_node features = domain.append_child("features");
  features.append_child("acpi");
  features.append_child("apic");
  set(domain.append_child("clock"), "offset", machine.is_windows ? "localtime" : "utc");
}

void add_processors(xml_node domain, const ForeignMachine& machine, uint32_t count) {
  if (count == 0) return;
  add_text(domain, "vcpu", std::to_string(count));
  uint32_t cores = machine.cores_per_socket;
  if (cores <= 1 || count % cores != 0) return;
  xml_node topology = domain.append_child("cpu").append_child("topology");
  set(topology, "sockets", std::to_string(count / cores));
  set(topology, "cores", std::to_string(cores));
  set(topology, "threads", "1");
}

}  // namespace

ForeignDefinition definition_of(const ForeignMachine& machine) {
  if (machine.disks.size() > kMaxForeignDisks) {
    throw base::Error(base::ErrorCode::invalid_argument,
                      fmt::format("the machine has {} disks, and a point has at most {}; import "
                                  "the disks that are needed one by one (--disk)",
                                  machine.disks.size(), kMaxForeignDisks));
  }
  ForeignDefinition result;
  result.notes = machine.notes;
  std::vector<ForeignDisk> disks = placed_disks(machine, result.notes);
  std::map<std::string, size_t> counts;
  for (const ForeignDisk& disk : disks) {
    const char* prefix = disk.bus == ForeignBus::virtio ? "vd"
                         : disk.bus == ForeignBus::ide  ? "hd"
                                                        : "sd";
    result.disk_names.push_back(prefix + letters_of(counts[prefix]++));
  }
  MachineDefinition& definition = result.definition;
  definition.firmware = machine.firmware;
  definition.cpu_count = std::min(machine.cpu_count, kMaxCpus);
  definition.memory_size = std::min(machine.memory_size, kMaxMemory);
  definition.state_files = machine.state_files;

  pugi::xml_document document;
  xml_node domain = document.append_child("domain");
  set(domain, "type", "kvm");
  add_text(domain, "name", machine.name.empty() ? "imported" : clean(machine.name));
  std::string uuid = uuid_of(machine.uuid);
  if (!uuid.empty()) add_text(domain, "uuid", uuid);
  if (definition.memory_size != 0)
    set(add_text(domain, "memory", std::to_string(definition.memory_size)), "unit", "b");
  add_processors(domain, machine, definition.cpu_count);
  add_system(domain, machine, machine.firmware);
  xml_node devices = domain.append_child("devices");
  for (size_t i = 0; i < disks.size(); ++i) add_disk(devices, disks[i], result.disk_names[i]);
  add_controllers(devices, disks);
  add_cards(devices, machine, definition);
  std::ostringstream text;
  document.save(text, "  ", pugi::format_default | pugi::format_no_declaration);
  definition.libvirt_xml = text.str();
  return result;
}

}  // namespace images
