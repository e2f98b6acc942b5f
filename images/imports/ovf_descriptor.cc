#include "images/imports/ovf_descriptor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <optional>
#include <pugixml.hpp>

#include "base/clean_text.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "base/xml/xml_tree.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;
using pugi::xml_node;

constexpr size_t kMaxShown = 200;      // bytes
constexpr size_t kMaxItems = 4096;     // of each kind
constexpr size_t kMaxManifest = 4096;  // lines

// Kinds of hardware, of CIM_ResourceAllocationSettingData.
enum Resource : uint32_t {
  kProcessor = 3,
  kMemory = 4,
  kIdeController = 5,
  kScsiController = 6,
  kCard = 10,
  kDisk = 17,
  kOtherController = 20,
};

std::string shown(const std::string& text) { return base::clean_text(text, kMaxShown); }

// Producers choose the prefixes of their namespaces.
std::string_view local(const char* name) {
  const char* colon = std::strrchr(name, ':');
  return colon == nullptr ? name : colon + 1;
}

std::vector<xml_node> children(const xml_node& parent, std::string_view name) {
  std::vector<xml_node> found;
  for (const xml_node& each : parent.children()) {
    if (local(each.name()) == name && found.size() < kMaxItems) found.push_back(each);
  }
  return found;
}

xml_node child(const xml_node& parent, std::string_view name) {
  for (const xml_node& each : parent.children()) {
    if (local(each.name()) == name) return each;
  }
  return {};
}

std::string attribute(const xml_node& node, std::string_view name) {
  for (const pugi::xml_attribute& each : node.attributes()) {
    if (local(each.name()) == name) return each.value();
  }
  return "";
}

std::string text(const xml_node& node, std::string_view name) {
  return base::trim(child(node, name).text().as_string());
}

uint64_t number(const std::string& text) { return std::strtoull(text.c_str(), nullptr, 10); }

std::string lower(std::string text) {
  for (char& each : text) each = static_cast<char>(std::tolower(static_cast<unsigned char>(each)));
  return text;
}

// "byte * 2^20", "MegaBytes", "GB": how many bytes one is.
uint64_t unit_of(const std::string& words, uint64_t fallback) {
  std::string unit;
  for (char each : lower(words)) {
    if (each != ' ') unit += each;
  }
  if (unit.empty()) return fallback;
  size_t power = unit.find("2^");
  if (power != std::string::npos) {
    uint64_t bits = number(unit.substr(power + 2));
    return bits <= 50 ? uint64_t{1} << bits : fallback;
  }
  constexpr std::string_view kLetters = "kmgt";
  if (unit == "byte" || unit == "bytes" || unit == "b") return 1;
  size_t at = kLetters.find(unit[0]);
  return at == std::string_view::npos ? fallback : uint64_t{1} << (10 * (at + 1));
}

uint64_t times(uint64_t value, uint64_t unit) {
  return value > UINT64_MAX / std::max<uint64_t>(unit, 1) ? 0 : value * unit;
}

class OvfReader {
 public:
  OvfReader(const xml_node& envelope, const std::string& path) : envelope_(envelope), path_(path) {}

  OvfPackage read() {
    read_files();
    read_disks();
    xml_node system = only_system();
    ForeignMachine& machine = package_.machine;
    machine.name = text(system, "Name");
    if (machine.name.empty()) machine.name = attribute(system, "id");
    read_system_kind(child(system, "OperatingSystemSection"));
    xml_node hardware = child(system, "VirtualHardwareSection");
    if (!hardware) fail("it has no VirtualHardwareSection");
    read_settings(hardware, system);
    for (const char* name : {"Item", "StorageItem", "EthernetPortItem"}) {
      for (const xml_node& item : children(hardware, name)) items_.push_back(item);
    }
    read_processors();
    read_controllers();
    read_storage();
    read_cards();
    return std::move(package_);
  }

 private:
  struct Disk {
    std::string file, format;
    uint64_t size = 0;
  };
  struct Controller {
    ForeignBus bus = ForeignBus::sata;
    std::string model;
    uint32_t number = 0;
  };

  [[noreturn]] void fail(std::string_view problem) const {
    throw Error(ErrorCode::corrupt,
                fmt::format("{} is not an OVF descriptor that can be read: {}", path_, problem));
  }
  [[noreturn]] void refuse(const std::string& words) const {
    throw Error(ErrorCode::unsupported, path_ + " " + words);
  }

  void read_files() {
    for (const xml_node& file : children(child(envelope_, "References"), "File")) {
      std::string id = attribute(file, "id"), name = attribute(file, "href");
      std::string compression = lower(attribute(file, "compression"));
      if (!compression.empty() && compression != "identity") {
        refuse(fmt::format("has {} compressed with {}; export it without compression", shown(name),
                           shown(compression)));
      }
      if (!attribute(file, "chunkSize").empty())
        refuse(fmt::format("has {} in pieces; export it in one", shown(name)));
      expect_inside(name);
      files_[id] = name;
      package_.files.push_back({name, "", 0});
    }
  }

  void expect_inside(const std::string& name) const {
    bool leads_out = name.empty() || name.front() == '/' || name.find('\0') != std::string::npos ||
                     name.find(':') != std::string::npos || name.find('\\') != std::string::npos;
    for (const std::string& word : base::split(name, '/')) leads_out |= word == "..";
    if (!leads_out) return;
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{} refers to {}, which is not a file beside it", path_,
                            name.empty() ? "a file without a name" : shown(name)));
  }

  void read_disks() {
    for (const xml_node& disk : children(child(envelope_, "DiskSection"), "Disk")) {
      std::string id = attribute(disk, "diskId"), reference = attribute(disk, "fileRef");
      if (!attribute(disk, "parentRef").empty())
        refuse(fmt::format("has a disk, {}, that builds on another; export it without snapshots",
                           shown(id)));
      Disk found;
      found.size = times(number(attribute(disk, "capacity")),
                         unit_of(attribute(disk, "capacityAllocationUnits"), 1));
      std::string format = lower(attribute(disk, "format"));
      for (const char* known : {"vmdk", "vhdx", "vhd", "qcow2", "raw"}) {
        if (found.format.empty() && format.find(known) != std::string::npos) found.format = known;
      }
      if (!reference.empty()) {
        auto file = files_.find(reference);
        if (file == files_.end()) fail("a disk's file, " + shown(reference) + ", is not listed");
        found.file = file->second;
        for (OvfFile& each : package_.files) {
          if (each.name != found.file) continue;
          each.format = found.format;
          each.disk_size = found.size;
        }
      }
      disks_[id] = found;
    }
  }

  // Throws unless it is exactly one.
  xml_node only_system() const {
    std::vector<xml_node> systems;
    collect_systems(envelope_, systems);
    if (systems.empty()) fail("it describes no machine");
    if (systems.size() > 1) {
      std::string names;
      for (size_t i = 0; i < std::min<size_t>(systems.size(), 8); ++i)
        names += (i == 0 ? "" : ", ") + shown(attribute(systems[i], "id"));
      refuse(
          fmt::format("describes {} machines ({}); export each by itself", systems.size(), names));
    }
    return systems.front();
  }

  static void collect_systems(const xml_node& parent, std::vector<xml_node>& systems) {
    for (const xml_node& each : parent.children()) {
      std::string_view name = local(each.name());
      if (name == "VirtualSystem" && systems.size() < kMaxItems) systems.push_back(each);
      if (name == "VirtualSystemCollection") collect_systems(each, systems);
    }
  }

  void read_system_kind(const xml_node& section) {
    // CIM's numbers are many; producers also write what it is in words.
    std::string words = lower(attribute(section, "osType") + " " + text(section, "Description") +
                              " " + text(section, "OSType"));
    package_.machine.is_windows =
        words.find("win") != std::string::npos && words.find("darwin") == std::string::npos;
  }

  // VMware's Config elements, and VirtualBox' machine.
  void read_settings(const xml_node& hardware, const xml_node& system) {
    ForeignMachine& machine = package_.machine;
    machine.firmware = Firmware::bios;
    for (const char* name : {"Config", "ExtraConfig"}) {
      for (const xml_node& config : children(hardware, name)) {
        std::string key = lower(attribute(config, "key")),
                    value = lower(attribute(config, "value"));
        if (key == "firmware" && value == "efi") machine.firmware = Firmware::uefi;
        if ((key == "bootoptions.efisecurebootenabled" || key == "uefi.secureboot.enabled") &&
            value == "true")
          machine.secure_boot = true;
      }
    }
    xml_node own = child(child(child(system, "Machine"), "Hardware"), "Firmware");
    if (own && lower(attribute(own, "type")).starts_with("efi")) machine.firmware = Firmware::uefi;
    machine.is_q35 = machine.firmware == Firmware::uefi;
  }

  void read_processors() {
    ForeignMachine& machine = package_.machine;
    for (const xml_node& item : items_) {
      uint64_t kind = number(text(item, "ResourceType"));
      uint64_t quantity = number(text(item, "VirtualQuantity"));
      if (kind == kProcessor) {
        machine.cpu_count += static_cast<uint32_t>(std::min<uint64_t>(quantity, 1024));
        machine.cores_per_socket =
            static_cast<uint32_t>(std::min<uint64_t>(number(text(item, "CoresPerSocket")), 1024));
      } else if (kind == kMemory) {
        machine.memory_size +=
            times(quantity, unit_of(text(item, "AllocationUnits"), uint64_t{1} << 20));
      }
    }
  }

  void read_controllers() {
    std::map<ForeignBus, uint32_t> counts;
    for (const xml_node& item : items_) {
      uint64_t kind = number(text(item, "ResourceType"));
      std::string model = lower(text(item, "ResourceSubType"));
      Controller controller;
      if (kind == kIdeController) {
        controller.bus = ForeignBus::ide;
      } else if (kind == kScsiController) {
        controller.bus = ForeignBus::scsi;
        if (model.find("virtualscsi") != std::string::npos) controller.model = "vmpvscsi";
        else if (model.find("sas") != std::string::npos) controller.model = "lsisas1068";
        else if (model.find("virtio") != std::string::npos) controller.model = "virtio-scsi";
      } else if (kind != kOtherController) {
        continue;
      } else if (model.find("sas") != std::string::npos) {
        controller.bus = ForeignBus::scsi;
        controller.model = "lsisas1068";
      } else if (model.find("nvme") != std::string::npos) {
        // No NVMe disks can be had by libvirt: definition_of() moves it and says so.
        controller.bus = ForeignBus::scsi;
      } else if (model.find("virtio") != std::string::npos) {
        controller.bus = ForeignBus::virtio;
      }
      controller.number = counts[controller.bus]++;
      controllers_[text(item, "InstanceID")] = controller;
    }
  }

  void read_storage() {
    struct Place {
      ForeignDisk disk;
      uint32_t position;
    };
    std::vector<Place> places;
    for (const xml_node& item : items_) {
      if (number(text(item, "ResourceType")) != kDisk) continue;
      std::string resource = text(item, "HostResource");
      ForeignDisk disk;
      disk.label = text(item, "ElementName");
      Disk content = disk_of(resource);
      disk.file = content.file;
      if (disk.file.empty()) {
        package_.machine.missing.push_back(
            fmt::format("{} (the export has no content of it)", shown(disk.label)));
        continue;
      }
      auto controller = controllers_.find(text(item, "Parent"));
      if (controller != controllers_.end()) {
        disk.bus = controller->second.bus;
        disk.controller_model = controller->second.model;
        disk.controller = controller->second.number;
      }
      disk.unit = static_cast<uint32_t>(
          std::min<uint64_t>(number(text(item, "AddressOnParent")), UINT32_MAX));
      places.push_back({disk, static_cast<uint32_t>(places.size())});
    }
    // Firmware counts by controller and place; the items may be in any order.
    std::stable_sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
      if (a.disk.bus != b.disk.bus) return a.position < b.position;
      return std::pair(a.disk.controller, a.disk.unit) < std::pair(b.disk.controller, b.disk.unit);
    });
    for (Place& each : places) package_.machine.disks.push_back(std::move(each.disk));
    if (package_.machine.disks.empty()) fail("its machine has no disk with content");
  }

  // "ovf:/disk/vmdisk1", "ovf:/file/file1".
  Disk disk_of(const std::string& resource) const {
    size_t slash = resource.rfind('/');
    std::string id = slash == std::string::npos ? resource : resource.substr(slash + 1);
    if (resource.find("/file/") != std::string::npos) {
      auto file = files_.find(id);
      if (file != files_.end()) return {file->second, "", 0};
    }
    auto disk = disks_.find(id);
    if (disk == disks_.end()) fail("a disk, " + shown(resource) + ", is not described");
    return disk->second;
  }

  void read_cards() {
    static const std::vector<std::pair<std::string, std::string>> kModels{
        {"e1000e", "e1000e"}, {"e1000", "e1000"}, {"vmxnet3", "vmxnet3"}, {"pcnet", "pcnet"},
        {"virtio", "virtio"}, {"82540", "e1000"}, {"82545", "e1000"},     {"rtl8139", "rtl8139"}};
    for (const xml_node& item : items_) {
      if (number(text(item, "ResourceType")) != kCard) continue;
      std::string model = lower(text(item, "ResourceSubType"));
      ForeignCard card;
      card.mac = mac_of(text(item, "Address"));
      card.network = text(item, "Connection");
      for (const auto& [word, name] : kModels) {
        if (card.model.empty() && model.find(word) != std::string::npos) card.model = name;
      }
      if (package_.machine.cards.size() < kMaxForeignCards)
        package_.machine.cards.push_back(std::move(card));
    }
  }

  // "00:50:56:aa:bb:cc", "005056AABBCC"; empty: none.
  static std::string mac_of(const std::string& text) {
    std::string digits;
    for (char each : lower(text)) {
      if (std::isxdigit(static_cast<unsigned char>(each)) != 0) digits += each;
    }
    if (digits.size() != 12) return "";
    std::string mac;
    for (size_t i = 0; i < 12; i += 2) mac += (i == 0 ? "" : ":") + digits.substr(i, 2);
    return mac;
  }

  const xml_node envelope_;
  const std::string path_;
  OvfPackage package_;
  std::map<std::string, std::string> files_;  // id: name
  std::map<std::string, Disk> disks_;
  std::map<std::string, Controller> controllers_;
  std::vector<xml_node> items_;
};

base::Bytes pack(std::string_view xml, const std::string& path) {
  try {
    return base::xml::pack_xml_confined(xml);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unavailable) throw error.with_context(path);
    base::log().warn("{} is parsed with this user's rights: {}", path, error.message());
  }
  try {
    return base::xml::pack_xml(xml);
  } catch (const Error& error) {
    throw error.with_context(path);
  }
}

}  // namespace

OvfPackage read_ovf(std::string_view xml, const std::string& path) {
  pugi::xml_document document;
  base::xml::unpack_xml(pack(xml, path), document);
  xml_node envelope = document.document_element();
  if (local(envelope.name()) != "Envelope") {
    throw Error(ErrorCode::corrupt,
                path + " is not an OVF descriptor: its root element is not Envelope");
  }
  return OvfReader(envelope, path).read();
}

std::map<std::string, OvfChecksum> read_manifest(std::string_view text, const std::string& path) {
  std::map<std::string, OvfChecksum> sums;
  for (const std::string& each : base::split(text, '\n')) {
    std::string line = base::trim(each);
    if (line.empty()) continue;
    size_t open = line.find('('), close = line.rfind(")");
    size_t equals = close == std::string::npos ? close : line.find('=', close);
    if (open == std::string::npos || equals == std::string::npos || close < open ||
        sums.size() >= kMaxManifest) {
      throw Error(ErrorCode::corrupt,
                  fmt::format("{} is not a manifest: '{}' is no checksum", path, shown(line)));
    }
    std::string name = base::trim(line.substr(0, open));
    auto kind = base::digest_kind_from_name(name);
    if (!kind) {
      throw Error(
          ErrorCode::unsupported,
          fmt::format("{} has checksums of the kind '{}', which are not known", path, shown(name)));
    }
    sums[line.substr(open + 1, close - open - 1)] = {*kind,
                                                     lower(base::trim(line.substr(equals + 1)))};
  }
  return sums;
}

}  // namespace images
