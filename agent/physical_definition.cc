#include "agent/physical_definition.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/json_access.h"
#include "base/text.h"

namespace agent {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr uint64_t kSector = 512;  // /sys counts in these, whatever the disk's own sector size
// The kernel's total excludes what it and the firmware reserve: memory modules are a multiple of
// this.
constexpr uint64_t kMemoryStep = 256u << 20;

// The first line of a small file; empty if it cannot be read.
std::string line_of(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return base::trim(line.substr(0, 256));
}

uint64_t number_of(const std::string& text) {
  uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::vector<fs::path> entries(const fs::path& directory) {
  std::vector<fs::path> found;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(directory, failed)) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

bool is_there(const fs::path& path) {
  std::error_code failed;
  return fs::exists(path, failed);
}

// "0-3,8" → 5
uint32_t count_of_list(const std::string& list) {
  uint32_t count = 0;
  for (size_t begin = 0; begin < list.size();) {
    size_t end = std::min(list.find(',', begin), list.size());
    std::string part = list.substr(begin, end - begin);
    size_t dash = part.find('-');
    uint64_t first = number_of(part);
    uint64_t last = dash == std::string::npos ? first : number_of(part.substr(dash + 1));
    if (last >= first && last - first < 4096) count += static_cast<uint32_t>(last - first + 1);
    begin = end + 1;
  }
  return count;
}

uint64_t memory_size(const fs::path& root) {
  std::ifstream file(root / "proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("MemTotal:")) continue;
    uint64_t size = number_of(base::trim(line.substr(9))) * 1024;
    return (size + kMemoryStep - 1) / kMemoryStep * kMemoryStep;
  }
  return 0;
}

json describe_disk(const fs::path& disk) {
  json described{{"name", disk.filename().string()},
                 {"size", number_of(line_of(disk / "size")) * kSector},
                 {"model", line_of(disk / "device/model")},
                 {"partitions", json::array()}};
  for (const fs::path& part : entries(disk)) {
    if (!is_there(part / "partition")) continue;
    described["partitions"].push_back({{"name", part.filename().string()},
                                       {"start", number_of(line_of(part / "start")) * kSector},
                                       {"size", number_of(line_of(part / "size")) * kSector}});
  }
  return described;
}

}  // namespace

namespace {

bool is_at_usb(const fs::path& disk) {
  std::error_code failed;
  std::string device = fs::canonical(disk / "device", failed).string();
  return !failed && device.find("/usb") != std::string::npos;
}

// Disks that do not go away by themselves, at USB or not.
std::vector<std::string> disks_where(const std::string& root, bool at_usb) {
  std::vector<std::string> names;
  for (const fs::path& disk : entries(fs::path(root + "/") / "sys/block")) {
    if (!is_there(disk / "device") || line_of(disk / "removable") == "1") continue;
    if (line_of(disk / "hidden") == "1" || number_of(line_of(disk / "size")) == 0) continue;
    if (is_at_usb(disk) == at_usb) names.push_back(disk.filename().string());
  }
  return names;
}

}  // namespace

std::vector<std::string> physical_disks(const std::string& root) {
  return disks_where(root, false);
}
std::vector<std::string> usb_disks(const std::string& root) { return disks_where(root, true); }

images::MachineDefinition physical_definition(const std::string& root_text) {
  fs::path root(root_text + "/");
  images::MachineDefinition definition;
  definition.firmware =
      is_there(root / "sys/firmware/efi") ? images::Firmware::uefi : images::Firmware::bios;
  definition.cpu_count = count_of_list(line_of(root / "sys/devices/system/cpu/online"));
  definition.memory_size = memory_size(root);
  for (const fs::path& card : entries(root / "sys/class/net")) {
    // Bridges, bonds and tunnels have no device behind them.
    if (!is_there(card / "device")) continue;
    definition.network_cards.push_back({line_of(card / "address"), "", card.filename().string()});
  }
  fs::path firmware_tables = root / "sys/class/dmi/id";
  json hardware{{"uuid", line_of(firmware_tables / "product_uuid")},
                {"vendor", line_of(firmware_tables / "sys_vendor")},
                {"product", line_of(firmware_tables / "product_name")},
                {"serial", line_of(firmware_tables / "product_serial")},
                {"disks", json::array()}};
  for (const std::string& name : physical_disks(root_text))
    hardware["disks"].push_back(describe_disk(root / "sys/block" / name));
  std::string text = base::dump_text(hardware, 2);
  base::ByteView bytes = base::as_bytes(text);
  definition.state_files.emplace_back("hardware", base::Bytes(bytes.begin(), bytes.end()));
  return definition;
}

}  // namespace agent
