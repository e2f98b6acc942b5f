#include "agent/domain_xml.h"

#include <fmt/format.h>

#include <array>
#include <pugixml.hpp>

#include "base/error.h"
#include "base/text.h"

namespace agent {
namespace {

constexpr size_t kMaxXmlSize = 4u << 20;
constexpr uint32_t kMaxCpuCount = 4096;
constexpr size_t kMaxBases = 64;

pugi::xml_document parse(std::string_view xml) {
  pugi::xml_document document;
  bool good = xml.size() <= kMaxXmlSize && document.load_buffer(xml.data(), xml.size());
  if (!good || !document.child("domain")) {
    throw base::Error(base::ErrorCode::corrupt,
                      "libvirt's description of the domain cannot be read");
  }
  return document;
}

// Why a disk is not part of the machine's data; empty if it is.
std::string reason_to_leave_out(const pugi::xml_node& disk) {
  std::string_view device = disk.attribute("device").as_string("disk");
  if (device == "cdrom") return "a CD-ROM";
  if (device == "floppy") return "a floppy disk";
  if (device == "lun") return "a passed-through SCSI device";
  if (disk.child("readonly")) return "read-only";
  if (disk.child("transient")) return "transient: its changes are dropped at shutdown";
  return "";
}

// Is it a disk that people keep data on?
bool holds_data(const pugi::xml_node& disk) {
  std::string_view device = disk.attribute("device").as_string("disk");
  return device != "cdrom" && device != "floppy";
}

// Disks and other parts that libvirt passes to QEMU without knowing what they are.
bool has_own_arguments(const pugi::xml_node& domain) {
  return domain.child("qemu:commandline").child("qemu:arg") != nullptr;
}

DomainDisk disk_of(const pugi::xml_node& node, const std::string& name) {
  DomainDisk disk;
  disk.name = name;
  disk.kind = node.attribute("type").as_string("file");
  disk.format = node.child("driver").attribute("type").as_string("raw");
  disk.alias = node.child("alias").attribute("name").as_string();
  pugi::xml_node source = node.child("source");
  if (disk.kind == "file") disk.path = source.attribute("file").as_string();
  if (disk.kind == "block") disk.path = source.attribute("dev").as_string();
  if (disk.kind == "volume") {
    disk.pool = source.attribute("pool").as_string();
    disk.volume = source.attribute("volume").as_string();
  }
  for (const pugi::xpath_node& base :
       node.select_nodes(".//backingStore/source|.//dataStore/source")) {
    for (const char* kind : {"file", "dev"}) {
      std::string path = base.node().attribute(kind).as_string();
      if (!path.empty() && disk.base_paths.size() < kMaxBases) disk.base_paths.push_back(path);
    }
  }
  return disk;
}

uint64_t memory_size(const pugi::xml_node& memory) {
  struct Unit {
    std::string_view name;
    uint64_t size;
  };
  static constexpr std::array<Unit, 10> kUnits{{{"b", 1},
                                                {"bytes", 1},
                                                {"KB", 1000},
                                                {"k", 1024},
                                                {"KiB", 1024},
                                                {"MB", 1000'000},
                                                {"M", 1u << 20},
                                                {"MiB", 1u << 20},
                                                {"G", 1u << 30},
                                                {"GiB", 1u << 30}}};
  std::string_view unit = memory.attribute("unit").as_string("KiB");
  for (const Unit& known : kUnits) {
    if (known.name == unit) return memory.text().as_ullong() * known.size;
  }
  return memory.text().as_ullong() * 1024;
}

images::Firmware firmware_of(const pugi::xml_node& os) {
  bool uefi = os.attribute("firmware").as_string() == std::string_view("efi") ||
              os.child("nvram") ||
              os.child("loader").attribute("type").as_string() == std::string_view("pflash");
  return uefi ? images::Firmware::uefi : images::Firmware::bios;
}

images::NetworkCard card_of(const pugi::xml_node& node) {
  images::NetworkCard card;
  card.mac = node.child("mac").attribute("address").as_string();
  card.model = node.child("model").attribute("type").as_string();
  pugi::xml_node source = node.child("source");
  for (const char* kind : {"network", "bridge", "dev", "portgroup"}) {
    if (card.network.empty()) card.network = source.attribute(kind).as_string();
  }
  if (card.network.empty()) card.network = node.attribute("type").as_string();
  return card;
}

}  // namespace

DomainFacts domain_facts(std::string_view xml) {
  pugi::xml_document document = parse(xml);
  pugi::xml_node domain = document.child("domain");
  DomainFacts facts;
  for (const pugi::xml_node& node : domain.child("devices").children("disk")) {
    std::string name = node.child("target").attribute("dev").as_string();
    base::check_name(name, "disk's name");
    std::string reason = reason_to_leave_out(node);
    if (reason.empty()) facts.disks.push_back(disk_of(node, name));
    else facts.left_out.push_back(name + ": " + reason);
    if (!reason.empty() && holds_data(node))
      facts.unprotected.push_back(name + " (" + reason + ")");
  }
  std::string kernel = base::trim(domain.child("os").child("kernel").text().as_string());
  if (!kernel.empty())
    facts.unprotected.push_back("the kernel that it is started with (" + kernel + ")");
  if (has_own_arguments(domain))
    facts.unprotected.emplace_back("what QEMU gets by qemu:commandline");
  pugi::xml_node os = domain.child("os");
  bool is_stateless = os.child("loader").attribute("stateless").as_bool();
  facts.has_uefi_variables = firmware_of(os) == images::Firmware::uefi && !is_stateless;
  pugi::xml_node nvram = os.child("nvram");
  facts.nvram_path = base::trim(nvram.text().as_string());
  if (facts.nvram_path.empty())
    facts.nvram_path = nvram.child("source").attribute("file").as_string();
  std::string_view tpm =
      domain.child("devices").child("tpm").child("backend").attribute("type").as_string();
  facts.has_tpm = tpm == "emulator";
  for (const pugi::xml_node& channel : domain.child("devices").children("channel")) {
    pugi::xml_node target = channel.child("target");
    if (target.attribute("name").as_string() != std::string_view("org.qemu.guest_agent.0"))
      continue;
    facts.guest_agent_connected =
        target.attribute("state").as_string() == std::string_view("connected");
  }
  for (const pugi::xml_node& label : domain.children("seclabel")) {
    if (label.attribute("model").as_string() != std::string_view("dac")) continue;
    facts.owner_label = label.child("label").text().as_string();
  }
  return facts;
}

images::MachineDefinition machine_definition(const std::string& inactive_xml) {
  pugi::xml_document document = parse(inactive_xml);
  pugi::xml_node domain = document.child("domain");
  images::MachineDefinition definition;
  definition.firmware = firmware_of(domain.child("os"));
  definition.cpu_count = std::min(domain.child("vcpu").text().as_uint(1), kMaxCpuCount);
  definition.memory_size = memory_size(domain.child("memory"));
  for (const pugi::xml_node& node : domain.child("devices").children("interface")) {
    definition.network_cards.push_back(card_of(node));
  }
  definition.libvirt_xml = inactive_xml;
  return definition;
}

}  // namespace agent
