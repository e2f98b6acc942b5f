#include "appliance/boot/windows/hive_edit.h"

#include <fmt/format.h>
#include <strings.h>

#include <array>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

#include "appliance/boot/windows/hivex_handles.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"

namespace appliance::boot::windows {
namespace {

using base::Bytes;
using base::Error;
using base::ErrorCode;
using nlohmann::json;

constexpr const char* kWhat = "the registry's SYSTEM hive";
constexpr size_t kMaxControlSets = 16;
constexpr size_t kMaxOverrides = 64;
constexpr size_t kMaxChanges = 1024;
constexpr size_t kMaxDevices = 1024;
constexpr size_t kMaxService = 256;  // bytes
constexpr uint32_t kBootStart = 0, kDemandStart = 3, kDisabled = 4;

// SATA, NVMe and IDE, as Windows 7 and later name them.
constexpr std::array<const char*, 7> kDiskDrivers{"storahci", "stornvme", "msahci", "intelide",
                                                  "pciide",   "atapi",    "iaStorV"};
// Intel's gigabit cards, which QEMU imitates.
constexpr std::array<const char*, 4> kNetworkDrivers{"e1iexpress", "e1i65x64", "e1i63x64", "E1G60"};

[[noreturn]] void throw_corrupt(const char* what) {
  throw Error(ErrorCode::corrupt, fmt::format("{} is damaged: {}", kWhat, what));
}

// A number (REG_DWORD) and where its four bytes are in the hive.
struct Number {
  uint32_t value = 0;
  size_t offset = 0;
};

// libhivex' handle of a value is the place of its cell: size, "vk", length of the name (2 bytes),
// size of the data, place of the data in the bins. Data of four bytes or fewer stand in that place
// themselves, which the highest bit of the size says.
std::optional<Number> number(hive_h* hive, const Bytes& bytes, hive_node_h node, const char* name) {
  constexpr size_t kHead = 16, kBins = 4096;
  auto found = find_value(hive, node, name, 4);
  if (!found || found->type != hive_t_REG_DWORD || found->bytes.size() != 4) return std::nullopt;
  size_t cell = found->handle;
  if (cell > bytes.size() - kHead || std::memcmp(bytes.data() + cell + 4, "vk", 2) != 0)
    throw_corrupt("a value is not where it should be");
  bool is_inline = (base::load_u32(bytes.data() + cell + 8) & 0x8000'0000) != 0;
  size_t offset = cell + 12;
  if (!is_inline) offset = kBins + size_t{base::load_u32(bytes.data() + cell + 12)} + 4;
  if (offset > bytes.size() - 4 || std::memcmp(bytes.data() + offset, found->bytes.data(), 4) != 0)
    throw_corrupt("a number is not where it should be");
  return Number{base::load_u32(found->bytes.data()), offset};
}

void put(Bytes& bytes, size_t at, uint32_t value) {
  for (size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<uint8_t>(value >> (8 * i));
}

// Reads by libhivex what `bytes` contained at first, and changes `bytes`.
class Preparer {
 public:
  Preparer(hive_h* hive, const Bytes& before, Bytes& bytes)
      : hive_(hive), before_(before), bytes_(bytes) {}

  void prepare(hive_node_h set, const std::string& name) {
    hive_node_h services = child(hive_, set, "Services");
    for (const char* driver : kDiskDrivers) enable(services, name, driver, kBootStart);
    for (const char* driver : kNetworkDrivers) enable(services, name, driver, kDemandStart);
    hive_node_h devices = find_key(hive_, set, {"Enum", "PCI"});
    auto is_used = [&](const char* driver, uint32_t latest) {
      return starts(services, driver, latest) && has_device(devices, driver);
    };
    virtio_disk_ &= is_used("viostor", kBootStart);
    virtio_scsi_ &= is_used("vioscsi", kBootStart);
    virtio_network_ &= is_used("netkvm", kDemandStart);
    hive_node_h control = child(hive_, set, "Control");
    hive_node_h power = child(hive_, child(hive_, control, "Session Manager"), "Power");
    auto fast = number(hive_, before_, power, "HiberbootEnabled");
    fast_start_ |= fast && fast->value == 1;
  }

  json answer() const {
    return {{"changes", changes_},
            {"virtio_disk", virtio_disk_},
            {"virtio_scsi", virtio_scsi_},
            {"virtio_network", virtio_network_},
            {"fast_start", fast_start_}};
  }

 private:
  bool starts(hive_node_h services, const char* driver, uint32_t latest) {
    hive_node_h node = child(hive_, services, driver);
    auto start = number(hive_, before_, node, "Start");
    if (!start || start->value > latest) return false;
    for (const auto& each : overrides(node))
      if (each.second.value > latest) return false;
    return true;
  }

  // Whether Windows has had a VirtIO device that this driver served: without that it may not bind
  // the driver to one before the disk is needed.
  bool has_device(hive_node_h devices, const char* driver) {
    for (hive_node_h kind : children(devices)) {
      Allocated<char> name(hivex_node_name(hive_, kind));
      if (!name || ::strncasecmp(name.get(), "VEN_1AF4", 8) != 0) continue;
      for (hive_node_h device : children(kind))
        if (says(device, "Service", driver)) return true;
    }
    return false;
  }

  std::vector<hive_node_h> children(hive_node_h node) {
    if (node == 0) return {};
    Allocated<hive_node_h> all(hivex_node_children(hive_, node));
    std::vector<hive_node_h> found;
    for (size_t i = 0; all && all.get()[i] != 0 && i < kMaxDevices; ++i)
      found.push_back(all.get()[i]);
    return found;
  }

  // A text (REG_SZ) of ASCII, compared ignoring case.
  bool says(hive_node_h node, const char* name, std::string_view wanted) {
    auto found = find_value(hive_, node, name, kMaxService);
    if (!found || found->type != hive_t_REG_SZ || found->bytes.size() < 2 * wanted.size())
      return false;
    std::string text;
    for (size_t i = 0; i + 1 < found->bytes.size() && found->bytes[i] != 0; i += 2)
      text += static_cast<char>(found->bytes[i]);
    return text.size() == wanted.size() &&
           ::strncasecmp(text.data(), wanted.data(), wanted.size()) == 0;
  }

  // The numbers below StartOverride, by name. None of another kind overrules anything.
  std::vector<std::pair<std::string, Number>> overrides(hive_node_h driver) {
    std::vector<std::pair<std::string, Number>> found;
    hive_node_h node = child(hive_, driver, "StartOverride");
    if (node == 0) return found;
    size_t count = hivex_node_nr_values(hive_, node);
    Allocated<hive_value_h> values(hivex_node_values(hive_, node));
    if (!values || count > kMaxOverrides)
      throw_corrupt("a StartOverride is not as Windows writes it");
    for (size_t i = 0; values.get()[i] != 0; ++i) {
      Allocated<char> name(hivex_value_key(hive_, values.get()[i]));
      if (!name) throw_corrupt("a StartOverride is not as Windows writes it");
      if (auto each = number(hive_, before_, node, name.get()))
        found.push_back({name.get(), *each});
    }
    return found;
  }

  void enable(hive_node_h services, const std::string& set, const char* driver, uint32_t wanted) {
    hive_node_h node = child(hive_, services, driver);
    auto start = number(hive_, before_, node, "Start");
    if (!start) return;
    auto is_wrong = [&](uint32_t value) {
      return wanted == kBootStart ? value != wanted : value >= kDisabled;
    };
    std::string key = fmt::format("{}\\Services\\{}", set, driver);
    if (is_wrong(start->value)) change(key, "Start", *start, wanted);
    for (const auto& [name, each] : overrides(node)) {
      if (is_wrong(each.value)) change(key + "\\StartOverride", name, each, wanted);
    }
  }

  void change(const std::string& key, const std::string& value, const Number& at, uint32_t wanted) {
    if (changes_.size() >= kMaxChanges) throw_corrupt("too much of it would have to be changed");
    put(bytes_, at.offset, wanted);
    changes_.push_back({{"key", key}, {"value", value}, {"before", at.value}, {"after", wanted}});
  }

  hive_h* hive_;
  const Bytes& before_;
  Bytes& bytes_;
  json changes_ = json::array();
  bool virtio_disk_ = true, virtio_scsi_ = true, virtio_network_ = true, fast_start_ = false;
};

bool is_control_set(std::string_view name) {
  return name.size() == 13 && name.starts_with("ControlSet") &&
         name.substr(10).find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

json prepare_hive(Bytes& bytes, const std::string& scratch_path) {
  Hive hive = open_hive(bytes, scratch_path, kWhat);
  Allocated<hive_node_h> sets(hivex_node_children(hive.get(), hivex_root(hive.get())));
  if (!sets) throw_corrupt("its keys cannot be listed");
  Bytes changed = bytes;
  Preparer preparer(hive.get(), bytes, changed);
  size_t count = 0;
  for (size_t i = 0; sets.get()[i] != 0; ++i) {
    Allocated<char> name(hivex_node_name(hive.get(), sets.get()[i]));
    if (!name || !is_control_set(name.get())) continue;
    if (++count > kMaxControlSets) throw_corrupt("it has too many control sets");
    preparer.prepare(sets.get()[i], name.get());
  }
  if (count == 0) throw_corrupt("it has no control set");
  bytes = std::move(changed);
  return preparer.answer();
}

size_t restore_hive(Bytes& bytes, const std::string& scratch_path, const json& changes) {
  if (!changes.is_array() || changes.size() > kMaxChanges)
    throw Error(ErrorCode::corrupt, "the record of the changes is damaged");
  Hive hive = open_hive(bytes, scratch_path, kWhat);
  Bytes changed = bytes;
  size_t count = 0;
  for (auto each = changes.rbegin(); each != changes.rend(); ++each) {
    std::vector<std::string> names = base::split(base::expect_text(*each, "key", 200), '\\');
    std::string value = base::expect_text(*each, "value", 256);
    hive_node_h node = find_key(hive.get(), hivex_root(hive.get()), names);
    auto found = number(hive.get(), bytes, node, value.c_str());
    if (!found || found->value != base::expect_natural(*each, "after")) continue;
    put(changed, found->offset, static_cast<uint32_t>(base::expect_natural(*each, "before")));
    ++count;
  }
  bytes = std::move(changed);
  return count;
}

}  // namespace appliance::boot::windows
