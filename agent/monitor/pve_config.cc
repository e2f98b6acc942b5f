#include "agent/monitor/pve_config.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <map>
#include <optional>
#include <pugixml.hpp>
#include <set>
#include <sstream>

#include "base/clean_text.h"
#include "base/error.h"
#include "base/text.h"

namespace agent::monitor {
namespace {

constexpr size_t kMaxLines = 4096;
constexpr size_t kMaxValue = 8192;  // bytes
constexpr size_t kMaxOptions = 64;  // of one value
constexpr size_t kMaxText = 200;    // bytes of a text for the guest's firmware
constexpr uint64_t kMaxCpus = 4096;
constexpr uint64_t kMaxMemory = 64ull << 20;  // MiB

using Values = std::map<std::string, std::string>;

// "local:vm-1,size=4G": the word without a name is under "".
Values options_of(std::string_view value) {
  Values options;
  while (!value.empty() && options.size() < kMaxOptions) {
    size_t comma = std::min(value.find(','), value.size());
    std::string_view part = value.substr(0, comma);
    value.remove_prefix(std::min(comma + 1, value.size()));
    size_t equals = part.find('=');
    if (equals == std::string_view::npos) options.emplace("", part);
    else options.emplace(part.substr(0, equals), part.substr(equals + 1));
  }
  return options;
}

std::string option(const Values& options, const char* name, const char* fallback = "") {
  auto found = options.find(name);
  return found == options.end() ? fallback : found->second;
}

std::optional<uint64_t> number(std::string_view text, uint64_t most) {
  uint64_t value = 0;
  auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size() || value > most)
    return std::nullopt;
  return value;
}

bool consists_of(std::string_view text, std::string_view characters) {
  return !text.empty() && text.size() <= kMaxText &&
         text.find_first_not_of(characters) == std::string_view::npos;
}

std::string lower(std::string text) {
  for (char& letter : text) letter = static_cast<char>(std::tolower(letter));
  return text;
}

constexpr std::string_view kWord =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
constexpr std::string_view kHex = "0123456789abcdefABCDEF-:";

// The number in "scsi12" for the key "scsi"; none if it is another key.
std::optional<uint64_t> index_in(std::string_view key, std::string_view kind, uint64_t count) {
  if (!key.starts_with(kind)) return std::nullopt;
  auto index = number(key.substr(kind.size()), count - 1);
  bool padded = key.size() > kind.size() + 1 && key[kind.size()] == '0';
  return padded ? std::nullopt : index;
}

Values first_section(std::string_view text) {
  if (text.size() > kMaxPveConfig)
    throw base::Error(base::ErrorCode::corrupt, "the machine's configuration is too large");
  Values values;
  for (size_t lines = 0; !text.empty() && lines < kMaxLines; ++lines) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string line = base::trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.starts_with('[')) break;
    size_t colon = line.find(':');
    if (line.starts_with('#') || colon == std::string::npos || line.size() > kMaxValue) continue;
    values.emplace(line.substr(0, colon), base::trim(line.substr(colon + 1)));
  }
  return values;
}

// "a", …, "z", "aa": the letters of libvirt's names of disks.
std::string letters(uint64_t index) {
  constexpr uint64_t kLetters = 26;
  std::string text;
  for (uint64_t rest = index + 1; rest > 0; rest = (rest - 1) / kLetters)
    text.insert(text.begin(), static_cast<char>('a' + (rest - 1) % kLetters));
  return text;
}

struct Bus {
  const char* key;
  uint64_t count;
  const char* bus;
  const char* prefix;
  uint64_t first;  // SATA's names come after SCSI's, with which they share a prefix
};
constexpr std::array<Bus, 4> kBuses{{{"scsi", 31, "scsi", "sd", 0},
                                     {"virtio", 16, "virtio", "vd", 0},
                                     {"sata", 6, "sata", "sd", 31},
                                     {"ide", 4, "ide", "hd", 0}}};

std::string decoded(const std::string& text) {
  std::string out(text.size(), '\0');
  auto in = reinterpret_cast<const unsigned char*>(text.data());
  if (text.size() > kMaxValue || text.size() % 4 != 0) return "";
  int size = ::EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()), in,
                               static_cast<int>(text.size()));
  if (size < 0) return "";
  out.resize(static_cast<size_t>(size));
  while (!out.empty() && out.back() == '\0') out.pop_back();  // the padding counts as bytes
  return out;
}

// Builds the domain, key by key.
class Reader {
 public:
  explicit Reader(std::string_view text) : values_(first_section(text)) {}

  PveMachine read() {
    domain_ = document_.append_child("domain");
    set(domain_, "type", "kvm");
    std::string name = value("name");
    if (consists_of(name, kWord)) add(domain_, "name", name);
    add_processors();
    add_system();
    add_smbios();
    domain_.append_child("features").append_child("acpi");
    add_clock();
    devices_ = domain_.append_child("devices");
    add_disks();
    add_cards();
    add_tpm();
    note_others();
    if (machine_.disks.empty()) {
      throw base::Error(base::ErrorCode::corrupt,
                        "the machine's configuration is not one of Proxmox VE, or has no disk");
    }
    std::ostringstream out;
    document_.save(out, "", pugi::format_raw | pugi::format_no_declaration);
    machine_.libvirt_xml = out.str();
    return std::move(machine_);
  }

 private:
  std::string value(const std::string& key) const {
    auto found = values_.find(key);
    return found == values_.end() ? "" : found->second;
  }
  static void set(pugi::xml_node node, const char* name, const std::string& text) {
    node.append_attribute(name).set_value(text.c_str());
  }
  static pugi::xml_node add(pugi::xml_node parent, const char* name, const std::string& text) {
    pugi::xml_node node = parent.append_child(name);
    node.text().set(base::clean_text(text, kMaxText).c_str());
    return node;
  }
  uint64_t count(const std::string& key) const {
    return std::max<uint64_t>(number(value(key), kMaxCpus).value_or(1), 1);
  }
  bool is_windows() const { return value("ostype").starts_with('w'); }

  void add_processors() {
    uint64_t sockets = count("sockets"), cores = count("cores");
    uint64_t all = std::min(sockets * cores, kMaxCpus);
    uint64_t running = number(value("vcpus"), kMaxCpus).value_or(all);
    Values memory = options_of(value("memory"));
    std::string mebibytes = option(memory, "current", option(memory, "").c_str());
    add(domain_, "memory", std::to_string(number(mebibytes, kMaxMemory).value_or(512)));
    set(domain_.child("memory"), "unit", "MiB");
    add(domain_, "vcpu", std::to_string(std::clamp<uint64_t>(running, 1, all)));
    if (running != all) return;
    pugi::xml_node topology = domain_.append_child("cpu").append_child("topology");
    set(topology, "sockets", std::to_string(all / cores));
    set(topology, "cores", std::to_string(cores));
    set(topology, "threads", "1");
  }

  void add_system() {
    pugi::xml_node os = domain_.append_child("os");
    Values options = options_of(value("machine"));
    std::string type = option(options, "type", option(options, "").c_str());
    type = type.substr(0, type.find('+'));  // "pc-q35-8.1+pve0": their own revision of it
    if (!consists_of(type, kWord)) type = "pc";
    bool is_q35 = type.find("q35") != std::string::npos;
    Values efi = options_of(value("efidisk0"));
    machine_.has_efi_disk = !efi.empty() && value("bios") == "ovmf";
    machine_.efi_size = option(efi, "efitype") == "4m" ? 540672 : 131072;
    if (value("bios") == "ovmf") {
      set(os, "firmware", "efi");
      bool secure = is_q35 && option(efi, "pre-enrolled-keys") == "1";
      pugi::xml_node feature = os.append_child("firmware").append_child("feature");
      set(feature, "enabled", secure ? "yes" : "no");
      set(feature, "name", "secure-boot");
    }
    pugi::xml_node node = add(os, "type", "hvm");
    set(node, "arch", value("arch") == "aarch64" ? "aarch64" : "x86_64");
    set(node, "machine", type);
  }

  void add_smbios() {
    Values texts = options_of(value("smbios1"));
    std::string uuid = option(texts, "uuid");
    if (consists_of(uuid, kHex)) add(domain_, "uuid", uuid);
    pugi::xml_node sysinfo;
    for (const char* name : {"manufacturer", "product", "version", "serial", "sku", "family"}) {
      std::string text = option(texts, name);
      if (option(texts, "base64") == "1") text = decoded(text);
      if (text.empty()) continue;
      if (!sysinfo) {
        set(domain_.child("os").append_child("smbios"), "mode", "sysinfo");
        sysinfo = domain_.append_child("sysinfo");
        set(sysinfo, "type", "smbios");
        sysinfo = sysinfo.append_child("system");
      }
      set(add(sysinfo, "entry", text), "name", name);
    }
  }

  void add_clock() {
    std::string wanted = value("localtime");
    bool local = wanted == "1" || (wanted.empty() && is_windows());
    set(domain_.append_child("clock"), "offset", local ? "localtime" : "utc");
  }

  // Which keys the firmware tries, in order.
  std::vector<std::string> boot_order() const {
    Values boot = options_of(value("boot"));
    std::vector<std::string> order;
    std::string keys = option(boot, "order");
    for (std::string_view rest = keys; !rest.empty() && order.size() < kMaxOptions;) {
      size_t end = std::min(rest.find(';'), rest.size());
      order.emplace_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    if (order.empty() && !value("bootdisk").empty()) order.push_back(value("bootdisk"));
    return order;
  }

  void add_disks() {
    std::vector<std::string> order = boot_order();
    bool any_scsi = false;
    for (const Bus& bus : kBuses) {
      for (uint64_t index = 0; index < bus.count; ++index) {
        std::string key = bus.key + std::to_string(index);
        Values options = options_of(value(key));
        if (options.empty() || option(options, "media") == "cdrom") continue;
        std::string volume = option(options, "", option(options, "file").c_str());
        if (volume == "none" || volume == "cdrom") continue;
        std::string name = bus.prefix + letters(bus.first + index);
        machine_.disks.push_back({key, name});
        add_disk(bus.bus, name, options, std::find(order.begin(), order.end(), key) - order.begin(),
                 order.size());
        any_scsi |= std::string_view(bus.bus) == "scsi";
      }
    }
    if (any_scsi) add_scsi_controller();
  }

  void add_disk(const char* bus, const std::string& name, const Values& options,
                std::ptrdiff_t place, size_t places) {
    pugi::xml_node disk = devices_.append_child("disk");
    set(disk, "type", "file");
    set(disk, "device", "disk");
    set(disk.append_child("driver"), "name", "qemu");
    pugi::xml_node target = disk.append_child("target");
    set(target, "dev", name);
    set(target, "bus", bus);
    std::string serial = option(options, "serial");
    if (consists_of(serial, kWord)) add(disk, "serial", serial);
    if (place < static_cast<std::ptrdiff_t>(places))
      set(disk.append_child("boot"), "order", std::to_string(place + 1));
  }

  void add_scsi_controller() {
    static const std::map<std::string, const char*> kModels{{"lsi", "lsilogic"},
                                                            {"lsi53c810", "lsilogic"},
                                                            {"megasas", "lsisas1078"},
                                                            {"pvscsi", "vmpvscsi"},
                                                            {"virtio-scsi-pci", "virtio-scsi"},
                                                            {"virtio-scsi-single", "virtio-scsi"}};
    auto model = kModels.find(value("scsihw"));
    pugi::xml_node controller = devices_.append_child("controller");
    set(controller, "type", "scsi");
    set(controller, "index", "0");
    set(controller, "model", model == kModels.end() ? "lsilogic" : model->second);
  }

  void add_cards() {
    constexpr uint64_t kCards = 32;
    static const std::set<std::string> kModels{"virtio",  "e1000",    "e1000e", "rtl8139",
                                               "vmxnet3", "ne2k_pci", "pcnet",  "i82551"};
    for (uint64_t index = 0; index < kCards; ++index) {
      Values options = options_of(value("net" + std::to_string(index)));
      if (options.empty()) continue;
      std::string model = option(options, "model"), mac = option(options, "macaddr");
      for (const std::string& each : kModels) {
        if (!options.contains(each)) continue;
        model = each;
        mac = options[each];
      }
      pugi::xml_node card = devices_.append_child("interface");
      set(card, "type", "bridge");
      if (consists_of(mac, kHex)) set(card.append_child("mac"), "address", lower(mac));
      std::string bridge = option(options, "bridge");
      if (consists_of(bridge, kWord)) set(card.append_child("source"), "bridge", bridge);
      if (kModels.contains(model)) set(card.append_child("model"), "type", model);
    }
  }

  void add_tpm() {
    Values options = options_of(value("tpmstate0"));
    if (options.empty()) return;
    machine_.has_tpm = true;
    pugi::xml_node tpm = devices_.append_child("tpm");
    set(tpm, "model", "tpm-tis");
    pugi::xml_node backend = tpm.append_child("backend");
    set(backend, "type", "emulator");
    set(backend, "version", option(options, "version") == "v2.0" ? "2.0" : "1.2");
  }

  void note_others() {
    for (const auto& [key, text] : values_) {
      if (index_in(key, "hostpci", 16))
        machine_.unprotected.push_back(key + " (a passed-through device)");
      if (index_in(key, "virtiofs", 10)) machine_.unprotected.push_back(key + " (a shared folder)");
      if (index_in(key, "usb", 14) && text != "spice")
        machine_.unprotected.push_back(key + " (at USB)");
      if (key == "args") machine_.unprotected.emplace_back("what QEMU gets by args");
    }
  }

  Values values_;
  pugi::xml_document document_;
  pugi::xml_node domain_, devices_;
  PveMachine machine_;
};

}  // namespace

PveMachine read_pve_config(std::string_view text) { return Reader(text).read(); }

}  // namespace agent::monitor
