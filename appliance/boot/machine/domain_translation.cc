#include "appliance/boot/machine/domain_translation.h"

#include <fmt/format.h>

#include <pugixml.hpp>
#include <sstream>

#include "base/error.h"
#include "base/instant_vm_mark.h"

namespace appliance::boot {
namespace {

using pugi::xml_node;

constexpr uint64_t kMiB = 1ull << 20;
// TCG's cache of translated code. QEMU's default would take a quarter of the guest's memory or
// more.
constexpr uint32_t kTranslationCacheMiB = 128;

xml_node add(xml_node parent, const char* name,
             std::initializer_list<std::pair<const char*, std::string>> attributes = {}) {
  xml_node node = parent.append_child(name);
  for (const auto& [key, value] : attributes) node.append_attribute(key) = value.c_str();
  return node;
}

void add_text(xml_node parent, const char* name, const std::string& text) {
  parent.append_child(name).text() = text.c_str();
}

void add_address(xml_node parent, const char* name, const Address& address) {
  if (address.empty()) return;
  xml_node node = parent.append_child(name);
  for (const auto& [key, value] : address) node.append_attribute(key.c_str()) = value.c_str();
}

void add_metadata(xml_node domain, const BootRecord& record, const DomainPaths& paths) {
  add(add(domain, "metadata"), "muletto:vm",
      {{"xmlns:muletto", base::kInstantVmMarkUri},
       {"boot", record.vm.id.hex()},
       {"point", record.vm.point.hex()},
       {"machine", record.vm.machine_name},
       {"tenant", record.vm.tenant.text()},
       {"purpose", std::string(purpose_name(record.vm.purpose))},
       {"state", paths.state_directory}});
}

void add_os(xml_node domain, const MachinePlan& plan, const DomainPaths& paths,
            const UefiFirmware* firmware) {
  xml_node os = add(domain, "os");
  xml_node type = add(os, "type", {{"arch", "x86_64"}, {"machine", plan.machine_type}});
  type.text() = "hvm";
  if (!plan.smbios_texts.empty()) add(os, "smbios", {{"mode", "sysinfo"}});
  if (firmware == nullptr) return;
  xml_node loader = add(os, "loader", {{"readonly", "yes"}, {"type", "pflash"}});
  if (plan.secure_boot) loader.append_attribute("secure") = "yes";
  loader.text() = firmware->code_path.c_str();
  add_text(os, "nvram", paths.boot.nvram_path);
}

void add_smbios(xml_node domain, const MachinePlan& plan) {
  if (plan.smbios_texts.empty()) return;
  xml_node sysinfo = add(domain, "sysinfo", {{"type", "smbios"}});
  for (const auto& [block, name, text] : plan.smbios_texts) {
    xml_node parent = sysinfo.child(block.c_str());
    if (!parent) parent = sysinfo.append_child(block.c_str());
    xml_node entry = parent.append_child("entry");
    if (!name.empty()) entry.append_attribute("name") = name.c_str();
    entry.text() = text.c_str();
  }
}

void add_features(xml_node domain, const MachinePlan& plan, bool kvm) {
  xml_node features = add(domain, "features");
  add(features, "acpi");
  add(features, "apic");
  if (plan.secure_boot) add(features, "smm", {{"state", "on"}});
  if (kvm && !plan.hyperv.empty()) {
    xml_node hyperv = add(features, "hyperv", {{"mode", "custom"}});
    for (const std::string& name : plan.hyperv) add(hyperv, name.c_str(), {{"state", "on"}});
  }
  if (!kvm) {
    xml_node cache = add(add(features, "tcg"), "tb-cache", {{"unit", "MiB"}});
    cache.text() = kTranslationCacheMiB;
  }
}

void add_cpu(xml_node domain, const MachinePlan& plan, bool kvm) {
  // Under TCG, the most capable model: current systems refuse CPUs without the instructions of
  // x86-64-v2.
  xml_node cpu = add(domain, "cpu", {{"mode", kvm ? "host-model" : "maximum"}});
  if (!plan.cpu_topology.empty()) {
    add_address(cpu, "topology", plan.cpu_topology);
  } else {
    // Desktop Windows uses at most two sockets, whatever the number of CPUs.
    add(cpu, "topology",
        {{"sockets", "1"}, {"cores", std::to_string(plan.cpu_count)}, {"threads", "1"}});
  }
}

void add_clock(xml_node domain, const MachinePlan& plan, bool kvm) {
  xml_node clock = domain.append_child("clock");
  for (const auto& [key, value] : plan.clock) clock.append_attribute(key.c_str()) = value.c_str();
  add(clock, "timer", {{"name", "rtc"}, {"tickpolicy", "catchup"}});
  if (kvm) {
    add(clock, "timer", {{"name", "pit"}, {"tickpolicy", "delay"}});
    add(clock, "timer", {{"name", "hpet"}, {"present", "no"}});
    if (plan.is_windows) add(clock, "timer", {{"name", "hypervclock"}, {"present", "yes"}});
  }
}

void add_controllers(xml_node devices, const MachinePlan& plan) {
  for (const PlannedController& each : plan.controllers) {
    xml_node node = add(devices, "controller", {{"type", each.type}});
    if (!each.index.empty()) node.append_attribute("index") = each.index.c_str();
    if (!each.model.empty()) node.append_attribute("model") = each.model.c_str();
    if (!each.pci_model_name.empty()) add(node, "model", {{"name", each.pci_model_name}});
    add_address(node, "target", each.pci_target);
    add_address(node, "address", each.address);
  }
  // For a definition without controllers whose disks are moved to SCSI: the one made for VMs.
  bool has_scsi_disk = false, has_scsi = false;
  for (const GuestDisk& disk : plan.disks) has_scsi_disk |= disk.bus == DiskBus::scsi;
  for (const PlannedController& each : plan.controllers) has_scsi |= each.type == "scsi";
  if (has_scsi_disk && !has_scsi)
    add(devices, "controller", {{"type", "scsi"}, {"index", "0"}, {"model", "virtio-scsi"}});
}

// The overlay is listed with its backing export, so that libvirt need not probe either of them. A
// failed request pauses the guest instead of reaching it: the export is restarted and the guest
// continues.
void add_disk(xml_node devices, const GuestDisk& disk, const DomainPaths& paths) {
  xml_node node = add(devices, "disk", {{"type", "file"}, {"device", "disk"}});
  add(node, "driver",
      {{"name", "qemu"},
       {"type", "qcow2"},
       {"cache", "writeback"},
       {"error_policy", "stop"},
       {"rerror_policy", "stop"},
       {"discard", "unmap"}});
  add(node, "source", {{"file", paths.boot.overlay_path(disk.name)}});
  xml_node backing = add(node, "backingStore", {{"type", "network"}});
  add(backing, "format", {{"type", "raw"}});
  xml_node source = add(backing, "source", {{"protocol", "nbd"}, {"name", disk.name}});
  add(source, "host", {{"transport", "unix"}, {"socket", paths.boot.socket_path}});
  add(backing, "backingStore");
  if (disk.logical_block_size != 0 || disk.physical_block_size != 0) {
    xml_node sizes = add(node, "blockio");
    if (disk.logical_block_size != 0)
      sizes.append_attribute("logical_block_size") = disk.logical_block_size;
    if (disk.physical_block_size != 0)
      sizes.append_attribute("physical_block_size") = disk.physical_block_size;
  }
  add(node, "target", {{"dev", disk.target}, {"bus", std::string(disk_bus_name(disk.bus))}});
  if (disk.boot_order != 0) add(node, "boot", {{"order", std::to_string(disk.boot_order)}});
  if (!disk.serial.empty()) add_text(node, "serial", disk.serial);
  if (!disk.wwn.empty()) add_text(node, "wwn", disk.wwn);
  add_address(node, "address", disk.address);
}

void add_card(xml_node devices, const GuestCard& card) {
  bool bridged = card.mode == NetworkMode::bridge;
  xml_node node = add(devices, "interface", {{"type", bridged ? "bridge" : "network"}});
  add(node, "mac", {{"address", card.mac}});
  add(node, "source", {{bridged ? "bridge" : "network", card.source}});
  add(node, "model", {{"type", card.model}});
  add(node, "rom",
      {{"enabled", "no"}});  // it boots from its disks; network boot would only take time
  add_address(node, "address", card.address);
}

void add_consoles(xml_node devices, const MachinePlan& plan, const BootRecord& record,
                  const DomainPaths& paths) {
  xml_node serial = add(devices, "serial", {{"type", "pty"}});
  add(serial, "log", {{"file", paths.boot.serial_path}, {"append", "on"}});
  add(serial, "target", {{"port", "0"}});
  xml_node agent = add(devices, "channel", {{"type", "unix"}});
  add(agent, "target", {{"type", "virtio"}, {"name", "org.qemu.guest_agent.0"}});
  if (plan.has_tablet) add(devices, "input", {{"type", "tablet"}, {"bus", "usb"}});
  xml_node graphics = add(devices, "graphics",
                          {{"type", "vnc"},
                           {"port", "-1"},
                           {"autoport", "yes"},
                           {"websocket", "-1"},
                           {"passwd", record.console_password}});
  add(graphics, "listen", {{"type", "address"}, {"address", "127.0.0.1"}});
  add(add(devices, "video"), "model", {{"type", "vga"}});
}

}  // namespace

std::string domain_name(const std::string& machine_name, const BootId& id) {
  std::string name;
  for (char c : machine_name.substr(0, 40)) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '-' || c == '.';
    name += plain ? c : '_';
  }
  return fmt::format("muletto-{}-{}", name, id.hex().substr(0, 8));
}

std::string domain_xml(const MachinePlan& plan, const BootRecord& record, const DomainPaths& paths,
                       const UefiFirmware* firmware) {
  bool kvm = record.vm.accelerator == Accelerator::kvm;
  pugi::xml_document document;
  xml_node domain = document.append_child("domain");
  domain.append_attribute("type") = kvm ? "kvm" : "qemu";
  add_text(domain, "name", record.vm.domain_name);
  add_text(domain, "uuid", plan.uuid);
  add_metadata(domain, record, paths);
  xml_node memory = add(domain, "memory", {{"unit", "MiB"}});
  memory.text() = static_cast<unsigned long long>(plan.memory_size / kMiB);
  domain.append_child("vcpu").text() = plan.cpu_count;
  add_os(domain, plan, paths, firmware);
  add_smbios(domain, plan);
  add_features(domain, plan, kvm);
  add_cpu(domain, plan, kvm);
  add_clock(domain, plan, kvm);
  add_text(domain, "on_poweroff", "destroy");
  add_text(domain, "on_reboot", "restart");
  add_text(domain, "on_crash", "destroy");
  xml_node devices = add(domain, "devices");
  add_controllers(devices, plan);
  for (const GuestDisk& disk : plan.disks) add_disk(devices, disk, paths);
  for (const GuestCard& card : plan.cards) add_card(devices, card);
  add_consoles(devices, plan, record, paths);
  if (plan.has_tpm) {
    std::string model =
        plan.tpm_model.empty() ? (plan.is_q35 ? "tpm-crb" : "tpm-tis") : plan.tpm_model;
    xml_node tpm = add(devices, "tpm", {{"model", model}});
    // Its state is removed by us, at the end of the VM and not of its domain.
    add(tpm, "backend", {{"type", "emulator"}, {"version", "2.0"}, {"persistent_state", "yes"}});
  }
  add(devices, "memballoon", {{"model", "virtio"}});
  std::ostringstream text;
  document.save(text, "  ", pugi::format_indent | pugi::format_no_declaration);
  return text.str();
}

std::optional<DomainMark> read_mark(const std::string& xml) {
  pugi::xml_document document;
  if (!document.load_string(xml.c_str())) return std::nullopt;
  for (const xml_node& node : document.child("domain").child("metadata").children()) {
    for (const pugi::xml_attribute& each : node.attributes()) {
      if (std::string_view(each.value()) != base::kInstantVmMarkUri) continue;
      try {
        return DomainMark{BootId::from_hex(node.attribute("boot").as_string()),
                          node.attribute("state").as_string()};
      } catch (const base::Error&) {
        return std::nullopt;  // written by someone else
      }
    }
  }
  return std::nullopt;
}

VmConsole read_console(const std::string& xml) {
  VmConsole console;
  pugi::xml_document document;
  if (!document.load_string(xml.c_str())) return console;
  for (const xml_node& node : document.child("domain").child("devices").children("graphics")) {
    if (std::string_view(node.attribute("type").as_string()) != "vnc") continue;
    int port = node.attribute("port").as_int(-1),
        websocket = node.attribute("websocket").as_int(-1);
    console.host = "127.0.0.1";
    console.vnc_port = port > 0 ? static_cast<uint16_t>(port) : uint16_t{0};
    console.websocket_port = websocket > 0 ? static_cast<uint16_t>(websocket) : uint16_t{0};
  }
  return console;
}

}  // namespace appliance::boot
