#include "appliance/boot/windows/hive_edit.h"

#include <fmt/format.h>
#include <hivex.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json_access.h"
#include "base/text.h"

namespace appliance::boot::windows {
namespace {

using base::Error;
using base::ErrorCode;
using nlohmann::json;

constexpr size_t kMaxControlSets = 16;
constexpr size_t kMaxOverrides = 64;
constexpr size_t kMaxOverrideData = 4096;  // bytes
constexpr size_t kMaxChanges = 1024;
constexpr uint32_t kBootStart = 0, kDemandStart = 3, kDisabled = 4;

// SATA, NVMe and IDE, as Windows 7 and later name them.
constexpr std::array<const char*, 7> kDiskDrivers{"storahci", "stornvme", "msahci", "intelide",
                                                  "pciide",   "atapi",    "iaStorV"};
// Intel's gigabit cards, which QEMU imitates.
constexpr std::array<const char*, 4> kNetworkDrivers{"e1iexpress", "e1i65x64", "e1i63x64", "E1G60"};

struct Closer {
  void operator()(hive_h* hive) const { hivex_close(hive); }
};
using Hive = std::unique_ptr<hive_h, Closer>;
struct Freer {
  void operator()(void* memory) const { std::free(memory); }
};
template <typename Type>
using Allocated = std::unique_ptr<Type, Freer>;

[[noreturn]] void throw_corrupt(const char* what) {
  throw Error(ErrorCode::corrupt,
              fmt::format("the registry's SYSTEM hive is damaged: {} ({})", what,
                          errno != 0 ? std::strerror(errno) : "no reason given"));
}

void refuse_unfinished(const std::string& path) {
  std::array<char, 12> head{};
  std::ifstream file(path, std::ios::binary);
  file.read(head.data(), head.size());
  errno = 0;
  if (!file || std::memcmp(head.data(), "regf", 4) != 0) throw_corrupt("it does not begin as one");
  if (std::memcmp(head.data() + 4, head.data() + 8, 4) != 0) {
    throw Error(ErrorCode::unsupported,
                "the newest changes of the registry's SYSTEM hive are only in its log, as when "
                "Windows was running: a point taken after Windows was shut down can be prepared");
  }
}

Hive open_hive(const std::string& path) {
  refuse_unfinished(path);
  Hive hive(hivex_open(path.c_str(), HIVEX_OPEN_WRITE));
  if (!hive) throw_corrupt("it cannot be opened");
  return hive;
}

hive_node_h child(hive_h* hive, hive_node_h node, const char* name) {
  return node == 0 ? 0 : hivex_node_get_child(hive, node, name);
}

std::optional<uint32_t> number(hive_h* hive, hive_node_h node, const char* name) {
  hive_value_h value = node == 0 ? 0 : hivex_node_get_value(hive, node, name);
  hive_type type{};
  size_t size = 0;
  if (value == 0 || hivex_value_type(hive, value, &type, &size) != 0) return std::nullopt;
  if (type != hive_t_REG_DWORD || size != 4) return std::nullopt;
  return static_cast<uint32_t>(hivex_value_dword(hive, value));
}

void set_value(hive_h* hive, hive_node_h node, const std::string& name, hive_type type,
               std::string data) {
  hive_set_value value{};
  std::string key = name;
  value.key = key.data();
  value.t = type;
  value.len = data.size();
  value.value = data.data();
  if (hivex_node_set_value(hive, node, &value, 0) != 0) throw_corrupt("a value cannot be set");
}

void set_number(hive_h* hive, hive_node_h node, uint32_t number) {
  std::string data(4, '\0');
  for (size_t i = 0; i < 4; ++i) data[i] = static_cast<char>(number >> (8 * i) & 0xff);
  set_value(hive, node, "Start", hive_t_REG_DWORD, data);
}

std::string hex_of(const char* data, size_t size) {
  std::string text;
  for (size_t i = 0; i < size; ++i) text += fmt::format("{:02x}", static_cast<uint8_t>(data[i]));
  return text;
}

std::string bytes_of(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::strtoul(hex.substr(i, 2).c_str(), nullptr, 16));
  return bytes;
}

// What a key contains, for its return; none if it is not as Windows makes this one.
std::optional<json> contents(hive_h* hive, hive_node_h node) {
  if (hivex_node_nr_children(hive, node) != 0) return std::nullopt;
  size_t count = hivex_node_nr_values(hive, node);
  Allocated<hive_value_h> values(hivex_node_values(hive, node));
  if (!values || count > kMaxOverrides) return std::nullopt;
  json all = json::array();
  for (size_t i = 0; values.get()[i] != 0; ++i) {
    hive_type type{};
    size_t size = 0;
    if (hivex_value_type(hive, values.get()[i], &type, &size) != 0 || size > kMaxOverrideData)
      return std::nullopt;
    Allocated<char> name(hivex_value_key(hive, values.get()[i]));
    Allocated<char> data(hivex_value_value(hive, values.get()[i], &type, &size));
    if (!name || !data) return std::nullopt;
    all.push_back({{"name", name.get()}, {"type", type}, {"data", hex_of(data.get(), size)}});
  }
  return all;
}

class Preparer {
 public:
  explicit Preparer(hive_h* hive) : hive_(hive) {}

  void prepare(hive_node_h set, const std::string& name) {
    hive_node_h services = child(hive_, set, "Services");
    for (const char* driver : kDiskDrivers) enable(services, name, driver, kBootStart);
    for (const char* driver : kNetworkDrivers) enable(services, name, driver, kDemandStart);
    auto starts = [&](const char* driver, uint32_t latest) {
      hive_node_h node = child(hive_, services, driver);
      auto start = number(hive_, node, "Start");
      return start && *start <= latest && child(hive_, node, "StartOverride") == 0;
    };
    virtio_disk_ &= starts("viostor", kBootStart);
    virtio_network_ &= starts("netkvm", kDemandStart);
    hive_node_h control = child(hive_, set, "Control");
    hive_node_h power = child(hive_, child(hive_, control, "Session Manager"), "Power");
    fast_start_ |= number(hive_, power, "HiberbootEnabled").value_or(0) == 1;
  }

  json answer() const {
    return {{"changes", changes_},
            {"virtio_disk", virtio_disk_},
            {"virtio_network", virtio_network_},
            {"fast_start", fast_start_}};
  }
  bool has_changes() const { return !changes_.empty(); }

 private:
  void enable(hive_node_h services, const std::string& set, const char* driver, uint32_t wanted) {
    hive_node_h node = child(hive_, services, driver);
    auto start = number(hive_, node, "Start");
    if (!start) return;
    std::string key = fmt::format("{}\\Services\\{}", set, driver);
    bool wrong = wanted == kBootStart ? *start != wanted : *start >= kDisabled;
    if (wrong) {
      set_number(hive_, node, wanted);
      changes_.push_back({{"key", key}, {"before", *start}, {"after", wanted}});
    }
    hive_node_h override_node = child(hive_, node, "StartOverride");
    if (override_node == 0) return;
    auto removed = contents(hive_, override_node);
    if (!removed) throw_corrupt("a StartOverride is not as Windows writes it");
    if (hivex_node_delete_child(hive_, override_node) != 0)
      throw_corrupt("a key cannot be removed");
    changes_.push_back({{"key", key + "\\StartOverride"}, {"removed", *removed}});
  }

  hive_h* hive_;
  json changes_ = json::array();
  bool virtio_disk_ = true, virtio_network_ = true, fast_start_ = false;
};

bool is_control_set(std::string_view name) {
  return name.size() == 13 && name.starts_with("ControlSet") &&
         name.substr(10).find_first_not_of("0123456789") == std::string_view::npos;
}

void commit(hive_h* hive) {
  if (hivex_commit(hive, nullptr, 0) != 0) throw_corrupt("it cannot be written");
}

hive_node_h find_key(hive_h* hive, const std::vector<std::string>& names) {
  hive_node_h node = hivex_root(hive);
  for (const std::string& name : names) node = child(hive, node, name.c_str());
  return node;
}

bool restore(hive_h* hive, const json& change) {
  std::vector<std::string> names = base::split(base::expect_text(change, "key", 200), '\\');
  if (base::find_field(change, "removed") == nullptr) {
    hive_node_h node = find_key(hive, names);
    if (number(hive, node, "Start") != base::expect_natural(change, "after")) return false;
    set_number(hive, node, static_cast<uint32_t>(base::expect_natural(change, "before")));
    return true;
  }
  std::string last = names.back();
  names.pop_back();
  hive_node_h parent = find_key(hive, names);
  if (parent == 0 || child(hive, parent, last.c_str()) != 0) return false;
  hive_node_h node = hivex_node_add_child(hive, parent, last.c_str());
  if (node == 0) throw_corrupt("a key cannot be added");
  for (const json& value : base::expect_list(change, "removed", kMaxOverrides)) {
    set_value(hive, node, base::expect_text(value, "name", 256),
              static_cast<hive_type>(base::expect_natural(value, "type")),
              bytes_of(base::expect_text(value, "data", 2 * kMaxOverrideData)));
  }
  return true;
}

}  // namespace

json prepare_hive(const std::string& path) {
  Hive hive = open_hive(path);
  Allocated<hive_node_h> sets(hivex_node_children(hive.get(), hivex_root(hive.get())));
  if (!sets) throw_corrupt("its keys cannot be listed");
  Preparer preparer(hive.get());
  size_t count = 0;
  for (size_t i = 0; sets.get()[i] != 0; ++i) {
    Allocated<char> name(hivex_node_name(hive.get(), sets.get()[i]));
    if (!name || !is_control_set(name.get())) continue;
    if (++count > kMaxControlSets) throw_corrupt("it has too many control sets");
    preparer.prepare(sets.get()[i], name.get());
  }
  if (count == 0) {
    errno = 0;
    throw_corrupt("it has no control set");
  }
  if (preparer.has_changes()) commit(hive.get());
  return preparer.answer();
}

size_t restore_hive(const std::string& path, const json& changes) {
  Hive hive = open_hive(path);
  if (!changes.is_array() || changes.size() > kMaxChanges)
    throw Error(ErrorCode::corrupt, "the record of the changes is damaged");
  size_t count = 0;
  for (auto each = changes.rbegin(); each != changes.rend(); ++each)
    count += restore(hive.get(), *each) ? 1 : 0;
  if (count != 0) commit(hive.get());
  return count;
}

}  // namespace appliance::boot::windows
