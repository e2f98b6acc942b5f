#include "images/imports/proxmox_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <map>

#include "base/error.h"
#include "base/text.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;

constexpr size_t kMaxLines = 4096;
constexpr uint64_t kDefaultMemory = 512;  // MiB, of Proxmox

struct Option {
  std::string first;                         // before the first comma
  std::map<std::string, std::string> pairs;  // "a=b" between commas, the first one too
};

Option option_of(const std::string& text) {
  Option option;
  bool is_first = true;
  for (const std::string& word : base::split(text, ',')) {
    if (is_first) option.first = word;
    is_first = false;
    size_t equals = word.find('=');
    if (equals != std::string::npos) option.pairs[word.substr(0, equals)] = word.substr(equals + 1);
  }
  return option;
}

uint64_t number(const std::string& text, uint64_t fallback) {
  bool is_number = !text.empty() && text.size() <= 18 &&
                   text.find_first_not_of("0123456789") == std::string::npos;
  return is_number ? std::strtoull(text.c_str(), nullptr, 10) : fallback;
}

// "scsi12": the bus and 12.
bool split_place(const std::string& key, std::string& bus, uint32_t& place) {
  for (const char* each : {"virtio", "scsi", "sata", "ide", "net"}) {
    std::string name = each;
    if (!key.starts_with(name)) continue;
    std::string digits = key.substr(name.size());
    if (digits.empty() || digits.size() > 2 ||
        digits.find_first_not_of("0123456789") != std::string::npos)
      continue;
    bus = name;
    place = static_cast<uint32_t>(number(digits, 0));
    return true;
  }
  return false;
}

class ConfigReader {
 public:
  ConfigReader(std::string_view text, const std::string& path) : path_(path) {
    size_t count = 0;
    for (const std::string& each : base::split(text, '\n')) {
      if (++count > kMaxLines) throw Error(ErrorCode::corrupt, path + " has too many lines");
      std::string line = base::trim(each);
      // Snapshots' configurations follow.
      if (line.starts_with("[")) break;
      size_t colon = line.find(':');
      if (line.empty() || line[0] == '#' || colon == std::string::npos) continue;
      values_[line.substr(0, colon)] = base::trim(line.substr(colon + 1));
    }
  }

  ProxmoxMachine read() {
    ForeignMachine& machine = result_.machine;
    machine.name = value("name");
    auto smbios = option_of(value("smbios1")).pairs;
    if (smbios.contains("uuid")) machine.uuid = smbios["uuid"];
    std::string system = value("ostype");
    machine.is_windows = system.starts_with("w");
    machine.firmware = value("bios") == "ovmf" ? Firmware::uefi : Firmware::bios;
    machine.is_q35 = option_of(value("machine")).first.find("q35") != std::string::npos;
    uint64_t cores = number(value("cores"), 1), sockets = number(value("sockets"), 1);
    machine.cores_per_socket = static_cast<uint32_t>(std::min<uint64_t>(cores, 1024));
    machine.cpu_count = static_cast<uint32_t>(std::min<uint64_t>(
        std::min<uint64_t>(cores, 1024) * std::min<uint64_t>(sockets, 16), 1024));
    std::string memory = option_of(value("memory")).first;
    if (memory.starts_with("current=")) memory = memory.substr(8);
    machine.memory_size = std::min(number(memory, kDefaultMemory), uint64_t{1} << 34) << 20;
    std::string efi = value("efidisk0");
    if (!efi.empty()) result_.efi_device = "drive-efidisk0";
    if (!value("tpmstate0").empty()) result_.tpm_device = "drive-tpmstate0-backup";
    machine.secure_boot = option_of(efi).pairs["pre-enrolled-keys"] == "1";
    for (const char* bus : {"virtio", "scsi", "sata", "ide"}) read_disks(bus);
    order_disks();
    read_cards();
    if (!value("args").empty())
      machine.notes.emplace_back("left out: arguments that QEMU got directly (args)");
    for (const auto& [key, text] : values_) {
      if (key.starts_with("hostpci") || key.starts_with("usb"))
        machine.notes.push_back(fmt::format("left out: the passed-through device {}", key));
    }
    return std::move(result_);
  }

 private:
  std::string value(const std::string& key) const {
    auto found = values_.find(key);
    return found == values_.end() ? "" : found->second;
  }

  std::string scsi_model() const {
    std::string model = value("scsihw");
    if (model.empty() || model == "lsi" || model == "lsi53c810") return "lsilogic";
    if (model == "pvscsi") return "vmpvscsi";
    if (model == "megasas") return "lsisas1078";
    return "virtio-scsi";
  }

  void read_disks(const std::string& wanted) {
    constexpr uint32_t kPlaces = 32;
    for (uint32_t place = 0; place < kPlaces; ++place) {
      std::string key = wanted + std::to_string(place), text = value(key);
      if (text.empty()) continue;
      Option option = option_of(text);
      if (option.pairs["media"] == "cdrom" || option.first == "none") continue;
      if (option.pairs["backup"] == "0" || option.pairs["backup"] == "no") {
        result_.machine.missing.push_back(key + " (left out of the backup by its settings)");
        continue;
      }
      ForeignDisk disk{
          .file = "drive-" + key, .label = key, .bus = ForeignBus::virtio, .controller_model = {}};
      disk.unit = place;
      if (wanted == "scsi") {
        disk.bus = ForeignBus::scsi;
        disk.controller_model = scsi_model();
        // One controller holds seven of these; virtio-scsi-single has one for each disk.
        uint32_t places = disk.controller_model == "lsilogic" ? 7 : 32;
        disk.controller = place / places;
        disk.unit = place % places;
      } else if (wanted == "sata") {
        disk.bus = ForeignBus::sata;
      } else if (wanted == "ide") {
        disk.bus = ForeignBus::ide;
      }
      result_.machine.disks.push_back(std::move(disk));
    }
  }

  // "order=scsi0;ide2;net0", or bootdisk of older ones.
  void order_disks() {
    std::string words = option_of(value("boot")).pairs["order"];
    if (words.empty()) words = value("bootdisk");
    uint32_t order = 0;
    for (const std::string& word : base::split(words, ';')) {
      for (ForeignDisk& disk : result_.machine.disks) {
        if (disk.label == base::trim(word) && disk.boot_order == 0) disk.boot_order = ++order;
      }
    }
    if (order == 0) return;
    for (ForeignDisk& disk : result_.machine.disks) {
      if (disk.boot_order == 0) disk.boot_order = ++order;
    }
  }

  // "virtio=BC:24:11:00:00:01,bridge=vmbr0"
  void read_cards() {
    for (const auto& [key, text] : values_) {
      std::string bus;
      uint32_t place = 0;
      if (!split_place(key, bus, place) || bus != "net") continue;
      Option option = option_of(text);
      ForeignCard card;
      card.model = option.first.substr(0, option.first.find('='));
      if (option.first.find('=') != std::string::npos)
        card.mac = option.first.substr(option.first.find('=') + 1);
      for (char& each : card.mac)
        each = static_cast<char>(std::tolower(static_cast<unsigned char>(each)));
      if (card.model != "virtio" && card.model != "e1000" && card.model != "e1000e" &&
          card.model != "rtl8139" && card.model != "vmxnet3" && card.model != "pcnet")
        card.model = card.model.starts_with("e1000") ? "e1000" : "";
      card.network = option.pairs["bridge"];
      result_.machine.cards.push_back(std::move(card));
    }
  }

  const std::string path_;
  std::map<std::string, std::string> values_;
  ProxmoxMachine result_;
};

}  // namespace

ProxmoxMachine read_proxmox_config(std::string_view text, const std::string& path) {
  return ConfigReader(text, path).read();
}

}  // namespace images
