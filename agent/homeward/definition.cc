#include "agent/homeward/definition.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <pugixml.hpp>
#include <sstream>

#include "base/clean_text.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/text.h"
#include "base/xml/xml_tree.h"

namespace agent::homeward {
namespace {

using base::Error;
using base::ErrorCode;
using pugi::xml_attribute;
using pugi::xml_node;

// What is taken over from a domain; what is handled by itself is not in the list.
constexpr std::array kTaken{"title",   "description", "memory",    "currentMemory", "vcpu",
                            "vcpus",   "iothreads",   "os",        "features",      "cpu",
                            "clock",   "on_poweroff", "on_reboot", "on_crash",      "pm",
                            "devices", "name",        "uuid",      "maxMemory"};
constexpr std::array kTakenDevices{"disk",     "controller", "interface", "input",    "tpm",
                                   "graphics", "sound",      "video",     "watchdog", "memballoon",
                                   "rng",      "panic",      "serial",    "console",  "channel",
                                   "vsock",    "iommu",      "hub",       "audio"};
constexpr size_t kMaxShown = 80;  // bytes of a word of the definition in a note

// Code and variables that belong together, as Debian and Fedora name them.
struct FirmwareFile {
  const char* name;
  uint64_t variables_size;
  bool is_secure;
};
constexpr std::array kFirmware{
    FirmwareFile{"OVMF_CODE_4M.ms.fd", 540672, true},
    FirmwareFile{"OVMF_CODE_4M.secboot.fd", 540672, true},
    FirmwareFile{"OVMF_CODE_4M.fd", 540672, false},
    FirmwareFile{"OVMF_CODE.secboot.fd", 131072, true},
    FirmwareFile{"OVMF_CODE.ms.fd", 131072, true},
    FirmwareFile{"OVMF_CODE.fd", 131072, false},
    FirmwareFile{"AAVMF_CODE.ms.fd", 67108864, true},
    FirmwareFile{"AAVMF_CODE.fd", 67108864, false},
};

std::string shown(std::string_view text) { return base::clean_text(text, kMaxShown); }

template <size_t kCount>
bool is_in(const std::array<const char*, kCount>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

class Adapter {
 public:
  Adapter(xml_node domain, const DefinitionWishes& wishes, const HostView& host)
      : domain_(domain), wishes_(wishes), host_(host) {}

  Definition run() {
    check_kind();
    keep_only(
        domain_, [](std::string_view name) { return is_in(kTaken, name); }, "");
    name();
    boot();
    xml_node devices = domain_.child("devices");
    keep_only(
        devices, [](std::string_view name) { return is_in(kTakenDevices, name); }, "device ");
    disks(devices);
    interfaces(devices);
    plain_devices(devices);
    tpm(devices);
    std::ostringstream text;
    domain_.print(text, " ", pugi::format_default | pugi::format_no_declaration);
    result_.xml = text.str();
    return std::move(result_);
  }

 private:
  void note(std::string sentence) { result_.notes.push_back(std::move(sentence)); }

  // Elements of a namespace ("qemu:commandline") are never in a list.
  template <typename IsKept>
  void keep_only(xml_node parent, IsKept is_kept, const char* what) {
    for (xml_node child = parent.first_child(); child;) {
      xml_node next = child.next_sibling();
      std::string name = child.name();
      if (!is_kept(name)) {
        bool is_silent = name == "metadata" || name == "emulator" || name == "seclabel" ||
                         name == "resource" || name == "genid";
        if (child.type() == pugi::node_element && !is_silent)
          note(fmt::format("left out: {}<{}>", what, shown(name)));
        parent.remove_child(child);
      }
      child = next;
    }
  }

  void check_kind() {
    if (domain_.name() != std::string_view("domain"))
      throw Error(ErrorCode::corrupt, "the point's definition is not a libvirt domain");
    std::string kind = domain_.attribute("type").value();
    if (kind != "kvm" && kind != "qemu") {
      throw Error(ErrorCode::unsupported,
                  fmt::format("the machine is of the kind '{}'; only KVM and QEMU machines can be "
                              "defined here",
                              shown(kind)));
    }
    domain_.remove_attributes();
    domain_.append_attribute("type").set_value(kind.c_str());
  }

  void name() {
    std::string old = domain_.child("name").text().get();
    result_.name = wishes_.name.empty() ? old : wishes_.name;
    base::check_name(result_.name, "machine's name");
    if (host_.names.contains(result_.name)) {
      throw Error(ErrorCode::already_exists,
                  fmt::format("this host has a machine '{}' already: restore in place, or give the "
                              "restored one another name",
                              result_.name));
    }
    domain_.child("name").text().set(result_.name.c_str());
    std::string uuid = domain_.child("uuid").text().get();
    bool is_free = uuid.size() == 36 && !host_.uuids.contains(uuid) &&
                   uuid.find_first_not_of("0123456789abcdefABCDEF-") == std::string::npos;
    if (!is_free) {
      std::string hex = base::to_hex(base::random_array<16>());
      uuid = fmt::format("{}-{}-4{}-8{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(13, 3),
                         hex.substr(17, 3), hex.substr(20, 12));
      note("the machine has another UUID here: its own is in use, or is none");
    }
    result_.uuid = uuid;
    domain_.remove_child("uuid");
    domain_.insert_child_after("uuid", domain_.child("name")).text().set(uuid.c_str());
  }

  static std::string found_firmware(const HostView& host, const FirmwareFile& file) {
    for (const std::string& folder : host.firmware_folders) {
      std::string path = folder + "/" + file.name;
      struct stat status {};
      if (::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode)) return path;
    }
    return "";
  }

  void boot() {
    xml_node os = domain_.child("os");
    if (os.child("type").text().get() != std::string_view("hvm"))
      throw Error(ErrorCode::unsupported, "the machine is not fully virtualized");
    bool is_uefi = os.child("loader").attribute("type").value() == std::string_view("pflash") ||
                   os.attribute("firmware").value() == std::string_view("efi");
    bool is_secure = os.child("loader").attribute("secure").value() == std::string_view("yes");
    for (xml_node feature : os.child("firmware").children("feature")) {
      if (feature.attribute("name").value() == std::string_view("secure-boot") &&
          feature.attribute("enabled").value() == std::string_view("yes"))
        is_secure = true;
    }
    keep_only(
        os,
        [](std::string_view name) {
          return name == "type" || name == "boot" || name == "bootmenu" || name == "smbios" ||
                 name == "bios";
        },
        "boot setting ");
    os.remove_attributes();
    std::string machine = os.child("type").attribute("machine").value();
    std::string shape = machine.starts_with("pc-q35")      ? "q35"
                        : machine.starts_with("pc-i440fx") ? "pc"
                                                           : "";
    if (!shape.empty()) {
      os.child("type").attribute("machine").set_value(shape.c_str());
      note(fmt::format("the machine type is this host's newest {}, instead of {}", shape,
                       shown(machine)));
    }
    if (is_uefi) firmware(os, is_secure);
  }

  void firmware(xml_node os, bool is_secure) {
    uint64_t size = wishes_.nvram_size;
    std::string found;
    for (bool secure : {is_secure, false}) {
      for (const FirmwareFile& file : kFirmware) {
        bool fits = file.is_secure == secure && (size == 0 || file.variables_size == size);
        if (found.empty() && fits) found = found_firmware(host_, file);
      }
      if (!found.empty() && is_secure && !secure)
        note("this host has no firmware with Secure Boot that fits: it starts without");
      if (!found.empty()) {
        is_secure = secure && is_secure;
        break;
      }
    }
    if (found.empty()) {
      throw Error(ErrorCode::not_found,
                  fmt::format("this host has no UEFI firmware that fits the machine's variables; "
                              "install it (ovmf), it is looked for in {}",
                              fmt::join(host_.firmware_folders, ", ")));
    }
    xml_node loader = os.append_child("loader");
    loader.append_attribute("readonly").set_value("yes");
    loader.append_attribute("type").set_value("pflash");
    if (is_secure) loader.append_attribute("secure").set_value("yes");
    loader.text().set(found.c_str());
    xml_node nvram = os.append_child("nvram");
    std::string pattern = found;
    size_t at = pattern.find("_CODE");
    pattern.replace(at, 5, "_VARS");
    for (const char* extra : {".secboot"}) {
      if (size_t cut = pattern.find(extra); cut != std::string::npos)
        pattern.replace(cut, std::string_view(extra).size(), "");
    }
    nvram.append_attribute("template").set_value(pattern.c_str());
    nvram.text().set(wishes_.nvram_path.c_str());
    result_.uses_nvram = size > 0;
    note(fmt::format("the firmware is {}{}", found,
                     size > 0 ? ", with the machine's own variables"
                              : ", with new variables: the point has none"));
  }

  void disks(xml_node devices) {
    std::set<std::string> used;
    for (xml_node disk = devices.child("disk"); disk;) {
      xml_node next = disk.next_sibling("disk");
      std::string name = disk.child("target").attribute("dev").value();
      auto placed = wishes_.disks.find(name);
      std::string device = disk.attribute("device").value();
      if (placed != wishes_.disks.end() &&
          (device.empty() || device == "disk" || device == "lun")) {
        place_disk(disk, placed->second);
        used.insert(name);
      } else if (device == "cdrom" || device == "floppy") {
        if (disk.child("source")) note(fmt::format("the drive {} is empty now", shown(name)));
        keep_only(
            disk,
            [](std::string_view each) {
              return each == "target" || each == "readonly" || each == "address" ||
                     each == "boot" || each == "alias";
            },
            "of a drive: ");
        disk.remove_attribute("type");
        disk.append_attribute("type").set_value("file");
      } else {
        note(fmt::format("left out: the disk {}, which is not restored", shown(name)));
        devices.remove_child(disk);
      }
      disk = next;
    }
    for (const auto& [name, placed] : wishes_.disks) {
      if (!used.contains(name))
        note(fmt::format("the definition has no disk {}: attach {} yourself", shown(name),
                         placed.path));
    }
  }

  void place_disk(xml_node disk, const PlacedDisk& placed) {
    keep_only(
        disk,
        [](std::string_view each) {
          return each == "target" || each == "address" || each == "boot" || each == "serial" ||
                 each == "wwn" || each == "vendor" || each == "product" || each == "blockio" ||
                 each == "shareable";
        },
        "of a disk: ");
    disk.remove_attributes();
    disk.append_attribute("type").set_value(placed.is_device ? "block" : "file");
    disk.append_attribute("device").set_value("disk");
    xml_node driver = disk.prepend_child("driver");
    driver.append_attribute("name").set_value("qemu");
    driver.append_attribute("type").set_value(placed.format.c_str());
    driver.append_attribute("discard").set_value("unmap");
    xml_node source = disk.insert_child_after("source", driver);
    source.append_attribute(placed.is_device ? "dev" : "file").set_value(placed.path.c_str());
  }

  void interfaces(xml_node devices) {
    for (xml_node card : devices.children("interface")) {
      std::string kind = card.attribute("type").value();
      xml_node source = card.child("source");
      std::string old = kind == "network" ? source.attribute("network").value()
                        : kind == "bridge"
                            ? "bridge " + std::string(source.attribute("bridge").value())
                            : kind;
      keep_only(
          card,
          [](std::string_view each) {
            return each == "mac" || each == "model" || each == "address" || each == "boot" ||
                   each == "link" || each == "mtu" || each == "source" || each == "driver";
          },
          "of a network card: ");
      connect(card, kind, old);
    }
  }

  void connect(xml_node card, const std::string& kind, const std::string& old) {
    auto chosen = wishes_.networks.find(old);
    std::string network;
    bool stays = false;
    if (chosen != wishes_.networks.end()) network = chosen->second;
    else if (kind == "network") network = old;
    else if (kind == "bridge") stays = host_.bridges.contains(old.substr(7));
    else stays = kind == "user";
    if (!stays && (network.empty() || !host_.networks.contains(network))) {
      throw Error(
          ErrorCode::not_found,
          fmt::format("the machine's network '{}' is not on this host; say which one to use "
                      "instead: this host has {}",
                      shown(network.empty() ? old : network),
                      host_.networks.empty() ? "none"
                                             : fmt::format("{}", fmt::join(host_.networks, ", "))));
    }
    std::string bridge = card.child("source").attribute("bridge").value();
    card.remove_child("source");
    card.remove_attributes();
    card.append_attribute("type").set_value(stays ? kind.c_str() : "network");
    if (kind == "user" && stays) return;
    xml_node source = card.append_child("source");
    if (stays) source.append_attribute("bridge").set_value(bridge.c_str());
    else source.append_attribute("network").set_value(network.c_str());
    if (!stays && network != old)
      note(fmt::format("a network card is on '{}' now, instead of '{}'", network, shown(old)));
  }

  // Devices whose back ends name files, sockets or addresses of the old host get this host's usual
  // ones.
  void plain_devices(xml_node devices) {
    for (xml_node input = devices.child("input"); input;) {
      xml_node next = input.next_sibling("input");
      std::string kind = input.attribute("type").value();
      bool is_plain = kind == "mouse" || kind == "tablet" || kind == "keyboard";
      if (!is_plain || input.child("source")) devices.remove_child(input);
      input = next;
    }
    for (const char* kind : {"serial", "console"}) {
      for (xml_node port : devices.children(kind)) {
        port.attribute("type").set_value("pty");
        port.remove_child("source");
        port.remove_child("log");
        port.remove_child("protocol");
      }
    }
    for (xml_node channel = devices.child("channel"); channel;) {
      xml_node next = channel.next_sibling("channel");
      std::string kind = channel.attribute("type").value();
      if (kind == "unix" || kind == "spicevmc") {
        channel.remove_child("source");
        channel.remove_child("log");
      } else {
        note(fmt::format("left out: a channel of the kind {}", shown(kind)));
        devices.remove_child(channel);
      }
      channel = next;
    }
    for (xml_node screen = devices.child("graphics"); screen;) {
      xml_node next = screen.next_sibling("graphics");
      std::string kind = screen.attribute("type").value();
      if (kind == "vnc" || kind == "spice") {
        screen.remove_attributes();
        screen.remove_children();
        screen.append_attribute("type").set_value(kind.c_str());
        screen.append_attribute("autoport").set_value("yes");
        screen.append_attribute("listen").set_value("127.0.0.1");
      } else {
        devices.remove_child(screen);
      }
      screen = next;
    }
    for (xml_node source : devices.children("rng")) {
      source.remove_child("backend");
      xml_node backend = source.append_child("backend");
      backend.append_attribute("model").set_value("random");
      backend.text().set("/dev/urandom");
    }
    while (xml_node audio = devices.child("audio")) devices.remove_child(audio);
    for (xml_node video : devices.children("video")) {
      video.remove_child("driver");
      video.child("model").remove_child("acceleration");
    }
  }

  void tpm(xml_node devices) {
    xml_node tpm = devices.child("tpm");
    if (!tpm) return;
    if (tpm.child("backend").attribute("type").value() != std::string_view("emulator")) {
      note("left out: a TPM that is a device of the old host");
      devices.remove_child(tpm);
      return;
    }
    std::string version = tpm.child("backend").attribute("version").value();
    tpm.remove_child("backend");
    xml_node backend = tpm.append_child("backend");
    backend.append_attribute("type").set_value("emulator");
    backend.append_attribute("version").set_value(version == "1.2" ? "1.2" : "2.0");
    result_.uses_tpm = wishes_.has_tpm_state && version != "1.2";
    if (!result_.uses_tpm)
      note("the emulated TPM is a new one: the point has no state of it that can be used");
  }

  xml_node domain_;
  const DefinitionWishes& wishes_;
  const HostView& host_;
  Definition result_;
};

}  // namespace

Definition adapt_definition(std::string_view xml, const DefinitionWishes& wishes,
                            const HostView& host) {
  pugi::xml_document document;
  base::xml::unpack_xml(base::xml::pack_xml_confined(xml), document);
  return Adapter(document.document_element(), wishes, host).run();
}

}  // namespace agent::homeward
