#include "restore/foreign_definition.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/clean_text.h"
#include "base/markup_text.h"

namespace restore {
namespace {

constexpr uint64_t kDefaultMemory = 2ull << 30;
constexpr uint64_t kMebibyte = 1ull << 20;
constexpr size_t kMaxShown = 200;  // bytes of a name
constexpr uint32_t kIdeDisks = 4;

bool is_uefi(const images::Point& point) {
  return point.definition.firmware == images::Firmware::uefi;
}
uint32_t cpus_of(const images::Point& point) { return std::max(point.definition.cpu_count, 1u); }
uint64_t memory_mib(const images::Point& point) {
  uint64_t size = point.definition.memory_size;
  return std::max<uint64_t>((size == 0 ? kDefaultMemory : size) / kMebibyte, 1);
}
std::string name_of(const images::Point& point) {
  return base::clean_text(point.machine_name, kMaxShown);
}
std::string network_of(const images::NetworkCard& card) {
  return card.network.empty() ? "VM Network" : base::clean_text(card.network, kMaxShown);
}

// In single quotes PowerShell interprets nothing; its typographic quotes end a text, too.
std::string powershell(std::string_view text) {
  std::string result = "'";
  for (size_t i = 0; i < text.size(); ++i) {
    std::string_view rest = text.substr(i);
    bool is_typographic = rest.starts_with("\u2018") || rest.starts_with("\u2019") ||
                          rest.starts_with("\u201a") || rest.starts_with("\u201b");
    if (is_typographic) {
      result += "''";
      i += 2;
    } else {
      result += text[i] == '\'' ? "''" : std::string(1, text[i]);
    }
  }
  return result + "'";
}

// Twelve digits of an address, or nothing.
std::string hex_of(std::string_view mac, std::string_view between) {
  std::string digits;
  for (char c : mac)
    if (std::isxdigit(static_cast<unsigned char>(c)) != 0)
      digits += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (digits.size() != 12 || mac.size() != 17) return "";
  std::string result;
  for (size_t i = 0; i < digits.size(); i += 2)
    result += (i == 0 ? "" : std::string(between)) + digits.substr(i, 2);
  return result;
}

// One Item of OVF: its elements must be in alphabetical order.
struct OvfItem {
  std::string address_on_parent{}, connection{}, name{}, host_resource{}, parent{}, subtype{};
  uint32_t type = 0;
  std::string quantity{}, units{};
};

class OvfItems {
 public:
  uint32_t add(const OvfItem& item) {
    uint32_t id = ++count_;
    text_ += "      <Item>\n";
    element("AddressOnParent", item.address_on_parent);
    element("AllocationUnits", item.units);
    if (!item.connection.empty()) element("AutomaticAllocation", "true");
    element("Connection", item.connection);
    element("ElementName", item.name);
    element("HostResource", item.host_resource);
    element("InstanceID", std::to_string(id));
    element("Parent", item.parent);
    element("ResourceSubType", item.subtype);
    element("ResourceType", std::to_string(item.type));
    element("VirtualQuantity", item.quantity);
    text_ += "      </Item>\n";
    return id;
  }
  const std::string& text() const { return text_; }

 private:
  void element(std::string_view name, const std::string& value) {
    if (!value.empty())
      text_ += fmt::format("        <rasd:{0}>{1}</rasd:{0}>\n", name, base::markup_text(value));
  }
  std::string text_;
  uint32_t count_ = 0;
};

std::string ovf_items(const images::Point& point, const std::vector<ForeignDisk>& disks) {
  OvfItems items;
  items.add({.name = "CPUs",
             .type = 3,
             .quantity = std::to_string(cpus_of(point)),
             .units = "hertz * 10^6"});
  items.add({.name = "memory",
             .type = 4,
             .quantity = std::to_string(memory_mib(point)),
             .units = "byte * 2^20"});
  uint32_t sata = 0, ide[2] = {0, 0}, sata_count = 0, ide_count = 0;
  for (size_t i = 0; i < disks.size(); ++i) {
    OvfItem disk{.name = fmt::format("disk {}", i + 1),
                 .host_resource = fmt::format("ovf:/disk/vmdisk{}", i + 1),
                 .type = 17};
    if (disks[i].name.starts_with("hd") && ide_count < kIdeDisks) {
      uint32_t& controller = ide[ide_count / 2];
      if (controller == 0)
        controller = items.add({.name = fmt::format("IDE {}", ide_count / 2), .type = 5});
      disk.parent = std::to_string(controller);
      disk.address_on_parent = std::to_string(ide_count++ % 2);
    } else {
      if (sata == 0)
        sata = items.add({.name = "SATA 0", .subtype = "vmware.sata.ahci", .type = 20});
      disk.parent = std::to_string(sata);
      disk.address_on_parent = std::to_string(sata_count++);
    }
    items.add(disk);
  }
  for (const images::NetworkCard& card : point.definition.network_cards) {
    items.add({.connection = network_of(card),
               .name = "network card",
               .subtype = card.model == "vmxnet3" ? "VmxNet3" : "E1000",
               .type = 10});
  }
  return items.text();
}

std::string ovf_networks(const images::Point& point) {
  std::set<std::string> names;
  for (const images::NetworkCard& card : point.definition.network_cards)
    names.insert(network_of(card));
  std::string text = "  <NetworkSection>\n    <Info>Networks</Info>\n";
  for (const std::string& name : names)
    text += fmt::format("    <Network ovf:name=\"{}\"/>\n", base::markup_text(name));
  return names.empty() ? "" : text + "  </NetworkSection>\n";
}

}  // namespace

std::vector<std::string> foreign_notes(const images::Point& point) {
  std::vector<std::string> notes;
  if (point.definition.cpu_count == 0) notes.emplace_back("its number of CPUs is not known: 1");
  if (point.definition.memory_size == 0) notes.emplace_back("its memory is not known: 2 GiB");
  if (point.definition.firmware == images::Firmware::unknown)
    notes.emplace_back("its firmware is not known: BIOS");
  if (!point.definition.state_files.empty()) {
    notes.emplace_back(
        "its UEFI variables and the state of its TPM are not in it: a disk encrypted with the TPM "
        "asks for its recovery key, and the firmware finds its boot loader again by its default "
        "path");
  }
  if (!point.definition.network_cards.empty()) {
    notes.emplace_back(
        "connect its network cards to networks of the new host. Where the old machine still runs, "
        "do not start this one beside it");
  }
  return notes;
}

std::string ovf_descriptor(const images::Point& point, const std::vector<ForeignDisk>& disks) {
  std::string files, sections;
  for (size_t i = 0; i < disks.size(); ++i) {
    files += fmt::format("    <File ovf:href=\"{}\" ovf:id=\"file{}\" ovf:size=\"{}\"/>\n",
                         base::markup_text(disks[i].file), i + 1, disks[i].file_size);
    sections += fmt::format(
        "    <Disk ovf:capacity=\"{}\" ovf:capacityAllocationUnits=\"byte\" "
        "ovf:diskId=\"vmdisk{}\" ovf:fileRef=\"file{}\" "
        "ovf:format=\"http://www.vmware.com/interfaces/specifications/"
        "vmdk.html#streamOptimized\"/>\n",
        disks[i].size, i + 1, i + 1);
  }
  std::string firmware =
      is_uefi(point)
          ? "      <vmw:Config ovf:required=\"false\" vmw:key=\"firmware\" vmw:value=\"efi\"/>\n"
          : "";
  std::string name = base::markup_text(name_of(point));
  constexpr const char* kCim = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/";
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<Envelope xmlns=\"http://schemas.dmtf.org/ovf/envelope/1\"\n"
      "    xmlns:ovf=\"http://schemas.dmtf.org/ovf/envelope/1\"\n"
      "    xmlns:rasd=\"{0}CIM_ResourceAllocationSettingData\"\n"
      "    xmlns:vssd=\"{0}CIM_VirtualSystemSettingData\"\n"
      "    xmlns:vmw=\"http://www.vmware.com/schema/ovf\">\n"
      "  <References>\n{1}  </References>\n"
      "  <DiskSection>\n    <Info>Disks</Info>\n{2}  </DiskSection>\n{3}"
      "  <VirtualSystem ovf:id=\"{4}\">\n"
      "    <Info>A restored machine</Info>\n    <Name>{4}</Name>\n"
      "    <OperatingSystemSection ovf:id=\"1\">\n      <Info>Not known</Info>\n"
      "    </OperatingSystemSection>\n"
      "    <VirtualHardwareSection>\n      <Info>Virtual hardware</Info>\n"
      "      <System>\n        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>\n"
      "        <vssd:InstanceID>0</vssd:InstanceID>\n"
      "        <vssd:VirtualSystemIdentifier>{4}</vssd:VirtualSystemIdentifier>\n"
      "        <vssd:VirtualSystemType>vmx-13</vssd:VirtualSystemType>\n      </System>\n"
      "{5}{6}    </VirtualHardwareSection>\n  </VirtualSystem>\n</Envelope>\n",
      kCim, files, sections, ovf_networks(point), name, ovf_items(point, disks), firmware);
}

std::string hyperv_script(const images::Point& point, const std::vector<ForeignDisk>& disks) {
  std::string text = fmt::format(
      "# Makes this machine on Hyper-V, from the disks beside this file. Run it as administrator:\n"
      "#   .\\SCRIPT.ps1 -Switch 'name of a virtual switch'\n"
      "param([string]$Switch = '', [string]$Folder = $PSScriptRoot)\n"
      "$ErrorActionPreference = 'Stop'\n"
      "$name = {}\n"
      "$vm = New-VM -Name $name -Generation {} -MemoryStartupBytes {}MB -NoVHD\n"
      "Set-VM -VM $vm -ProcessorCount {} -AutomaticCheckpointsEnabled $false\n"
      "Get-VMNetworkAdapter -VM $vm | Remove-VMNetworkAdapter\n",
      powershell(name_of(point)), is_uefi(point) ? 2 : 1, memory_mib(point), cpus_of(point));
  for (size_t i = 0; i < disks.size(); ++i) {
    // A machine of generation 1 boots from IDE only.
    bool on_ide = !is_uefi(point) && i < 2;
    text += fmt::format(
        "{}Add-VMHardDiskDrive -VM $vm {} -Path (Join-Path $Folder {}){}\n",
        i == 0 && is_uefi(point) ? "$first = " : "",
        on_ide ? fmt::format("-ControllerType IDE -ControllerNumber 0 -ControllerLocation {}", i)
               : "-ControllerType SCSI",
        powershell(disks[i].file), i == 0 && is_uefi(point) ? " -Passthru" : "");
  }
  if (is_uefi(point) && !disks.empty())
    text += "Set-VMFirmware -VM $vm -EnableSecureBoot Off -FirstBootDevice $first\n";
  for (const images::NetworkCard& card : point.definition.network_cards) {
    std::string mac = hex_of(card.mac, "");
    text += fmt::format("$card = Add-VMNetworkAdapter -VM $vm -Passthru{}\n",
                        mac.empty() ? "" : " -StaticMacAddress '" + mac + "'");
    text +=
        "if ($Switch) { Connect-VMNetworkAdapter -VMNetworkAdapter $card -SwitchName $Switch }\n";
  }
  return text + "Write-Host \"$name was made. Start-VM -Name '$name' starts it.\"\n";
}

std::string proxmox_config(const images::Point& point, const std::vector<ForeignDisk>& disks,
                           uint32_t vmid) {
  std::string name;
  for (char c : name_of(point))
    name += std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' ? c : '-';
  while (!name.empty() && name.front() == '-') name.erase(0, 1);
  while (!name.empty() && name.back() == '-') name.pop_back();
  std::string lines, first;
  uint32_t virtio = 0, ide = 0, sata = 0;
  for (const ForeignDisk& disk : disks) {
    std::string place = disk.name.starts_with("vd") ? fmt::format("virtio{}", virtio++)
                        : disk.name.starts_with("hd") && ide < kIdeDisks
                            ? fmt::format("ide{}", ide++)
                            : fmt::format("sata{}", sata++);
    if (first.empty()) first = place;
    lines += fmt::format("{}: local:{}/{},size={}K\n", place, vmid, disk.file, disk.size / 1024);
  }
  std::string cards;
  size_t number = 0;
  for (const images::NetworkCard& card : point.definition.network_cards) {
    std::string mac = hex_of(card.mac, ":");
    std::string model = card.model == "virtio" || card.model == "vmxnet3" ? card.model : "e1000";
    cards += fmt::format("net{}: {}{},bridge=vmbr0,firewall=1\n", number++, model,
                         mac.empty() ? "" : "=" + mac);
  }
  return fmt::format(
      "bios: {}\nboot: order={}\ncores: {}\n{}memory: {}\nname: {}\n{}ostype: other\nscsihw: "
      "virtio-scsi-pci\nsockets: 1\n{}",
      is_uefi(point) ? "ovmf" : "seabios", first, cpus_of(point),
      is_uefi(point) ? "machine: q35\n" : "", memory_mib(point), name.empty() ? "restored" : name,
      cards, lines);
}

}  // namespace restore
