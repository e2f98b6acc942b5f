#include "agent/monitor/monitored_facts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "agent/domain_xml.h"
#include "agent/monitor/pve_config.h"
#include "base/clean_text.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/json_access.h"
#include "base/text.h"

namespace agent::monitor {
namespace {

constexpr uint32_t kMaxCpuCount = 4096;
constexpr uint64_t kMaxMemory = 1ull << 46;
constexpr size_t kMaxName = 60;  // bytes of a device's name in a sentence

// The id of a device: "scsi0", or "virtio0" of "/machine/peripheral/virtio0/virtio-backend".
std::string id_of(const Device& device) {
  constexpr std::string_view kPeripheral = "/machine/peripheral/";
  if (!device.qdev.starts_with('/')) return device.qdev;
  if (!device.qdev.starts_with(kPeripheral)) return "";
  std::string rest = device.qdev.substr(kPeripheral.size());
  return rest.substr(0, rest.find('/'));
}

bool is_called(const Device& device, const std::string& key) {
  std::string drive = "drive-" + key;
  for (const std::string& name : {id_of(device), device.drive, device.node}) {
    if (name == key || name == drive) return true;
  }
  return false;
}

// For people, and as the name of a disk of which nothing else is known.
std::string name_of(const Device& device) {
  constexpr std::string_view kDrive = "drive-";
  for (std::string name : {id_of(device), device.drive, device.node}) {
    if (name.empty()) continue;
    if (name.starts_with(kDrive)) name.erase(0, kDrive.size());
    return base::clean_text(name, kMaxName);
  }
  return "a disk without a name";
}

bool is_firmware(const Device& device) {
  return device.drive.starts_with("pflash") || device.node.starts_with("pflash") ||
         device.qdev.find("system.flash") != std::string::npos || is_called(device, "efidisk0");
}

class Facts {
 public:
  explicit Facts(Monitor& monitor) : monitor_(monitor), devices_(devices(monitor)) {}

  void by_pve(std::string_view text) {
    PveMachine machine = read_pve_config(text);
    for (const PveDisk& disk : machine.disks) take(disk.name, disk.key);
    facts_.unprotected = machine.unprotected;
    facts_.definition = machine_definition(machine.libvirt_xml);
    facts_.has_tpm = machine.has_tpm;
    if (machine.has_efi_disk) {
      if (const Device* device = find("efidisk0")) facts_.variables = *device;
      facts_.variables_size = machine.efi_size;
    }
    if (facts_.definition.firmware == images::Firmware::uefi && !facts_.variables)
      facts_.unprotected.emplace_back("UEFI variables (it has no EFI disk)");
  }

  void by_domain(const std::string& xml) {
    DomainFacts domain = domain_facts(xml);
    for (const DomainDisk& disk : domain.disks) take(disk.name, disk.name);
    facts_.unprotected = domain.unprotected;
    facts_.definition = machine_definition(xml);
    if (domain.has_uefi_variables)
      facts_.unprotected.emplace_back("UEFI variables (only libvirt's or Proxmox VE's are read)");
    facts_.has_tpm = domain.has_tpm;
  }

  void by_qemu() {
    for (const Device& device : devices_) {
      if (device.read_only || device.removable || is_firmware(device)) continue;
      std::string name = name_of(device);
      base::check_name(name, "disk's name");
      facts_.disks.push_back({name, device});
    }
    nlohmann::json cpus = monitor_.execute("query-cpus-fast");
    facts_.definition.cpu_count =
        static_cast<uint32_t>(std::min<size_t>(cpus.is_array() ? cpus.size() : 1, kMaxCpuCount));
    facts_.definition.memory_size =
        std::min(base::find_natural(monitor_.execute("query-memory-size-summary"), "base-memory")
                     .value_or(0),
                 kMaxMemory);
  }

  MonitoredFacts finish() {
    if (facts_.disks.empty())
      throw base::Error(base::ErrorCode::not_found, "this QEMU has no disk to capture");
    for (const Device& device : devices_) {
      bool taken = std::any_of(facts_.disks.begin(), facts_.disks.end(),
                               [&](const auto& disk) { return disk.device.node == device.node; });
      if (taken || device.removable || is_firmware(device)) continue;
      facts_.unprotected.push_back(name_of(device) + (device.read_only
                                                          ? " (read-only)"
                                                          : " (not in the machine's definition)"));
    }
    return std::move(facts_);
  }

 private:
  const Device* find(const std::string& key) const {
    auto found = std::find_if(devices_.begin(), devices_.end(),
                              [&](const Device& device) { return is_called(device, key); });
    return found == devices_.end() ? nullptr : &*found;
  }

  void take(const std::string& name, const std::string& key) {
    const Device* device = find(key);
    if (device != nullptr) return facts_.disks.push_back({name, *device});
    std::vector<std::string> names;
    for (const Device& each : devices_) names.push_back(name_of(each));
    throw base::Error(base::ErrorCode::not_found,
                      fmt::format("QEMU has no disk {} of the machine's definition; those it has "
                                  "are {}",
                                  key, fmt::join(names, ", ")));
  }

  Monitor& monitor_;
  std::vector<Device> devices_;
  MonitoredFacts facts_;
};

}  // namespace

MonitoredFacts read_facts(Monitor& monitor, const std::string& definition_path) {
  Facts facts(monitor);
  if (definition_path.empty()) {
    facts.by_qemu();
  } else {
    base::Bytes bytes = base::read_file(base::real_file_system(), definition_path, kMaxPveConfig);
    std::string text(base::as_text(bytes));
    bool is_xml = base::trim(text).starts_with('<');
    if (is_xml) facts.by_domain(text);
    else facts.by_pve(text);
  }
  return facts.finish();
}

}  // namespace agent::monitor
