#include "images/imports/vmx_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <map>

#include "base/clean_text.h"
#include "base/error.h"
#include "base/text.h"

namespace images {
namespace {

using base::Error;
using base::ErrorCode;
using Settings = std::map<std::string, std::string>;

constexpr size_t kMaxLines = 1 << 15;
constexpr size_t kMaxShown = 200;  // bytes

std::string lower(std::string text) {
  for (char& each : text) each = static_cast<char>(std::tolower(static_cast<unsigned char>(each)));
  return text;
}

// "|22" is a quotation mark: VMware writes such characters by their number.
std::string unescaped(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    auto is_digit = [&](size_t at) {
      return at < text.size() && std::isxdigit(static_cast<unsigned char>(text[at])) != 0;
    };
    if (text[i] == '|' && is_digit(i + 1) && is_digit(i + 2)) {
      plain +=
          static_cast<char>(std::strtoul(std::string(text.substr(i + 1, 2)).c_str(), nullptr, 16));
      i += 2;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

Settings read_lines(std::string_view text, const std::string& path) {
  Settings settings;
  size_t count = 0;
  for (const std::string& each : base::split(text, '\n')) {
    if (++count > kMaxLines) throw Error(ErrorCode::corrupt, path + " has too many lines");
    std::string line = base::trim(each);
    if (line.empty() || line[0] == '#') continue;
    size_t equals = line.find('=');
    if (equals == std::string::npos) continue;
    std::string value = base::trim(line.substr(equals + 1));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
      value = value.substr(1, value.size() - 2);
    settings[lower(base::trim(line.substr(0, equals)))] = unescaped(value);
  }
  return settings;
}

class VmxReader {
 public:
  VmxReader(Settings settings, const std::string& path)
      : settings_(std::move(settings)), path_(path) {}

  ForeignMachine read() {
    if (!has("config.version") && !has("virtualhw.version") && !has("displayname"))
      throw Error(ErrorCode::corrupt, path_ + " is not a virtual machine's settings (VMX)");
    if (has("encryption.keysafe") || has("encryption.data"))
      throw Error(ErrorCode::unsupported,
                  path_ + " is encrypted: remove the encryption in VMware, then export it again");
    machine_.name = value("displayname");
    machine_.uuid = value("uuid.bios");
    machine_.is_windows = lower(value("guestos")).starts_with("win");
    machine_.cpu_count = static_cast<uint32_t>(std::min(number("numvcpus", 1), uint64_t{1024}));
    machine_.cores_per_socket =
        static_cast<uint32_t>(std::min(number("cpuid.corespersocket", 1), uint64_t{1024}));
    machine_.memory_size = std::min(number("memsize", 0), uint64_t{1} << 34) << 20;
    machine_.firmware = lower(value("firmware")) == "efi" ? Firmware::uefi : Firmware::bios;
    machine_.is_q35 = machine_.firmware == Firmware::uefi;
    machine_.secure_boot = is_true("uefi.secureboot.enabled");
    if (has("checkpoint.vmstate") && !value("checkpoint.vmstate").empty())
      machine_.notes.emplace_back(
          "it was suspended: its disks are those of that moment, its memory is lost");
    if (is_true("vtpm.present"))
      machine_.missing.emplace_back("its TPM (BitLocker will ask for the recovery key)");
    read_disks();
    read_cards();
    return std::move(machine_);
  }

 private:
  bool has(const std::string& key) const { return settings_.contains(key); }
  std::string value(const std::string& key) const {
    auto found = settings_.find(key);
    return found == settings_.end() ? "" : found->second;
  }
  bool is_true(const std::string& key) const {
    std::string word = lower(value(key));
    return word == "true" || word == "1" || word == "yes";
  }
  uint64_t number(const std::string& key, uint64_t fallback) const {
    std::string text = value(key);
    bool is_number = !text.empty() && text.size() <= 18 &&
                     text.find_first_not_of("0123456789") == std::string::npos;
    return is_number ? std::strtoull(text.c_str(), nullptr, 10) : fallback;
  }

  // In the order in which VMware's firmware looks for disks, without bios.hddOrder.
  void read_disks() {
    struct Bus {
      const char* name;
      ForeignBus bus;
      uint32_t controllers, places;
    };
    constexpr std::array<Bus, 4> kBuses{{{"ide", ForeignBus::ide, 2, 2},
                                         {"scsi", ForeignBus::scsi, 4, 64},
                                         {"sata", ForeignBus::sata, 4, 30},
                                         {"nvme", ForeignBus::scsi, 4, 64}}};
    for (const Bus& bus : kBuses) {
      for (uint32_t i = 0; i < bus.controllers; ++i) {
        std::string controller = bus.name + std::to_string(i);
        for (uint32_t unit = 0; unit < bus.places; ++unit)
          read_disk(controller, fmt::format("{}:{}", controller, unit), bus.bus, i, unit);
      }
    }
    order_disks();
    if (machine_.disks.empty())
      throw Error(ErrorCode::invalid_argument, path_ + " has no disk that could be imported");
  }

  void read_disk(const std::string& controller, const std::string& place, ForeignBus bus,
                 uint32_t index, uint32_t unit) {
    if (!is_true(place + ".present") ||
        (has(controller + ".present") && !is_true(controller + ".present")))
      return;
    std::string kind = lower(value(place + ".devicetype")), file = value(place + ".filename");
    if (kind.find("cdrom") != std::string::npos || lower(file).ends_with(".iso")) return;
    bool is_passed =
        kind.find("passthru") != std::string::npos || kind.find("rawdisk") != std::string::npos;
    if (is_passed || file.empty()) {
      machine_.missing.push_back(
          fmt::format("{} ({})", place, is_passed ? "passed through" : "it has no file"));
      return;
    }
    if (lower(value(place + ".mode")).find("nonpersistent") != std::string::npos)
      machine_.notes.push_back(
          fmt::format("disk {} was reset at each start; here it keeps what is written", place));
    ForeignDisk disk{.file = file,
                     .label = place,
                     .bus = bus,
                     .controller_model = {},
                     .controller = index,
                     .unit = unit};
    std::string model = lower(value(controller + ".virtualdev"));
    if (model == "pvscsi") disk.controller_model = "vmpvscsi";
    if (model == "lsisas1068") disk.controller_model = model;
    machine_.disks.push_back(std::move(disk));
  }

  // bios.hddOrder = "scsi0:0,scsi0:1"
  void order_disks() {
    uint32_t order = 0;
    for (const std::string& word : base::split(value("bios.hddorder"), ',')) {
      for (ForeignDisk& disk : machine_.disks) {
        if (disk.label == lower(base::trim(word)) && disk.boot_order == 0)
          disk.boot_order = ++order;
      }
    }
    if (order == 0) return;
    for (ForeignDisk& disk : machine_.disks) {
      if (disk.boot_order == 0) disk.boot_order = ++order;
    }
  }

  void read_cards() {
    constexpr int kCards = 10;
    for (int i = 0; i < kCards; ++i) {
      std::string place = fmt::format("ethernet{}", i);
      if (!is_true(place + ".present")) continue;
      ForeignCard card;
      std::string model = lower(value(place + ".virtualdev"));
      if (model == "e1000" || model == "e1000e" || model == "vmxnet3") card.model = model;
      if (model == "vlance" || model.empty()) card.model = "pcnet";
      bool is_static = lower(value(place + ".addresstype")) == "static";
      card.mac = lower(value(place + (is_static ? ".address" : ".generatedaddress")));
      if (card.mac.empty()) card.mac = lower(value(place + ".address"));
      card.network = value(place + ".networkname");
      if (card.network.empty()) card.network = value(place + ".connectiontype");
      machine_.cards.push_back(std::move(card));
    }
  }

  const Settings settings_;
  const std::string path_;
  ForeignMachine machine_;
};

}  // namespace

ForeignMachine read_vmx(std::string_view text, const std::string& path) {
  if (text.size() > kMaxVmx) throw Error(ErrorCode::corrupt, path + " is larger than 1 MiB");
  return VmxReader(read_lines(text, path), path).read();
}

}  // namespace images
