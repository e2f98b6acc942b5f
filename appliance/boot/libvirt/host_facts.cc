#include "appliance/boot/libvirt/host_facts.h"

#include <fmt/format.h>
#include <pwd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <pugixml.hpp>
#include <sstream>
#include <thread>

#include "base/bytes.h"

namespace appliance::boot::libvirt {
namespace {

using nlohmann::json;

constexpr const char* kFirmwareDirectory = "/usr/share/qemu/firmware";

// One descriptor; nothing if it is not a plain UEFI firmware for x86_64 whose files exist.
void read_descriptor(const std::filesystem::path& path, HypervisorFacts& facts) {
  std::ifstream file(path);
  json object = json::parse(file, nullptr, false);
  if (object.is_discarded() || !object.is_object()) return;
  try {
    const json& mapping = object.at("mapping");
    if (mapping.at("device") != "flash" || mapping.at("executable").at("format") != "raw") return;
    auto fits = [](const json& target) { return target.at("architecture") == "x86_64"; };
    const json& targets = object.at("targets");
    if (std::none_of(targets.begin(), targets.end(), fits)) return;
    UefiFirmware firmware;
    firmware.code_path = mapping.at("executable").at("filename");
    firmware.variables_path = mapping.at("nvram-template").at("filename");
    auto is_secure = [](const json& feature) {
      return feature == "secure-boot" || feature == "requires-smm";
    };
    const json& features = object.at("features");
    firmware.secure_boot = std::any_of(features.begin(), features.end(), is_secure);
    std::error_code error;
    firmware.variables_size = std::filesystem::file_size(firmware.variables_path, error);
    if (!error && std::filesystem::exists(firmware.code_path, error))
      facts.uefi_firmwares.push_back(firmware);
  } catch (const json::exception&) {
    // Another kind of firmware, such as one of confidential VMs.
  }
}

// Debian's older firmware with 2 MiB images has no descriptor; captured variables may need it.
void add_small_firmware(HypervisorFacts& facts) {
  UefiFirmware firmware{"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd", 0, false};
  std::error_code error;
  firmware.variables_size = std::filesystem::file_size(firmware.variables_path, error);
  if (!error && std::filesystem::exists(firmware.code_path, error))
    facts.uefi_firmwares.push_back(firmware);
}

uint64_t meminfo(const std::string& text, const std::string& key) {
  size_t at = text.find(key + ":");
  return at == std::string::npos
             ? 0
             : std::strtoull(text.c_str() + at + key.size() + 1, nullptr, 10) * 1024;
}

// "+64055:+64055", as libvirt writes a user and a group.
std::optional<QemuUser> parse_label(std::string_view label) {
  size_t colon = label.find(':');
  if (!label.starts_with('+') || colon == std::string_view::npos) return std::nullopt;
  auto number = [](std::string_view text, auto& value) {
    if (text.starts_with('+')) text.remove_prefix(1);
    auto result = std::from_chars(text.data(), text.data() + text.size(), value);
    return result.ec == std::errc() && result.ptr == text.data() + text.size();
  };
  QemuUser qemu;
  bool good =
      number(label.substr(0, colon), qemu.user) && number(label.substr(colon + 1), qemu.group);
  return good ? std::optional(qemu) : std::nullopt;
}

QemuUser usual_qemu_user() {
  for (const char* name : {"libvirt-qemu", "qemu"}) {
    passwd entry{}, *found = nullptr;
    std::array<char, 16384> buffer;
    if (::getpwnam_r(name, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr)
      return {entry.pw_uid, entry.pw_gid};
  }
  return {};
}

}  // namespace

QemuUser read_qemu_user(const std::string& xml) {
  pugi::xml_document document;
  document.load_string(xml.c_str());
  for (const pugi::xml_node& model :
       document.child("capabilities").child("host").children("secmodel")) {
    if (std::string_view(model.child("model").text().as_string()) != "dac") continue;
    if (auto qemu = parse_label(model.child("baselabel").text().as_string())) return *qemu;
  }
  return usual_qemu_user();
}

void read_capabilities(const std::string& xml, HypervisorFacts& facts) {
  pugi::xml_document document;
  document.load_string(xml.c_str());
  for (const pugi::xml_node& guest : document.child("capabilities").children("guest")) {
    pugi::xml_node architecture = guest.child("arch");
    if (std::string_view(architecture.attribute("name").as_string()) != "x86_64") continue;
    for (const pugi::xml_node& machine : architecture.children("machine")) {
      facts.machine_types.insert(machine.text().as_string());
      facts.machine_types.insert(machine.attribute("canonical").as_string());
    }
  }
}

void read_domain_capabilities(const std::string& xml, HypervisorFacts& facts) {
  pugi::xml_document document;
  document.load_string(xml.c_str());
  pugi::xml_node tpm = document.child("domainCapabilities").child("devices").child("tpm");
  auto is_emulator = [](const pugi::xml_node& node) {
    return std::string_view(node.text().as_string()) == "emulator";
  };
  facts.has_tpm = std::string_view(tpm.attribute("supported").as_string()) == "yes" &&
                  tpm.find_node(is_emulator);
}

void read_cards_in_use(const std::string& domain_xml, HypervisorFacts& facts) {
  pugi::xml_document document;
  document.load_string(domain_xml.c_str());
  pugi::xml_node domain = document.child("domain");
  for (const pugi::xml_node& card : domain.child("devices").children("interface")) {
    pugi::xml_node source = card.child("source");
    CardInUse use;
    use.domain_name = domain.child("name").text().as_string();
    use.mac = card.child("mac").attribute("address").as_string();
    // A running domain's XML also names the bridge of its network; networks are identified by their
    // own name.
    use.source = source.attribute("network").as_string(source.attribute("bridge").as_string());
    facts.cards_in_use.push_back(std::move(use));
  }
}

void read_host(HypervisorFacts& facts) {
  facts.cpu_count = std::max(1u, std::thread::hardware_concurrency());
  std::ifstream file("/proc/meminfo");
  std::stringstream text;
  text << file.rdbuf();
  facts.memory_size = meminfo(text.str(), "MemTotal");
  facts.memory_available = meminfo(text.str(), "MemAvailable");
  std::vector<std::filesystem::path> descriptors;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(kFirmwareDirectory, ignored)) {
    if (entry.path().extension() == ".json") descriptors.push_back(entry.path());
  }
  std::sort(descriptors.begin(), descriptors.end());
  for (const auto& path : descriptors) read_descriptor(path, facts);
  add_small_firmware(facts);
}

}  // namespace appliance::boot::libvirt
