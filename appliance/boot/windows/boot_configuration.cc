#include "appliance/boot/windows/boot_configuration.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "appliance/boot/windows/hivex_handles.h"
#include "base/clean_text.h"
#include "base/error.h"

namespace appliance::boot::windows {
namespace {

using base::Bytes;

constexpr const char* kWhat = "its boot configuration (BCD)";
constexpr const char* kBootManager = "{9dea862c-5cdd-4e70-acc1-f32b344d4795}";
// Elements, by their names in the hive.
constexpr const char *kDefault = "23000003", *kOrder = "24000001", *kLoaderDevice = "11000001",
                     *kLoaderPath = "12000002", *kSystemDevice = "21000001";
constexpr size_t kMaxElement = 64 << 10;  // bytes
// A device element: 16 bytes, its kind, flags, size, zeros; for a partition its identity, the kind
// of medium, the style of the table, and the disk's identity.
constexpr size_t kKind = 16, kPartition = 32, kStyle = 52, kDisk = 56, kDeviceSize = 72;
constexpr uint32_t kBootDevice = 5, kPartitionDevice = 6;
constexpr uint32_t kMbrStyle = 1;

// UTF-16 up to its first 0, others than ASCII as '?'.
std::string text_of(const Bytes& bytes) {
  std::string text;
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
    uint32_t unit = bytes[i] | uint32_t{bytes[i + 1]} << 8;
    if (unit == 0) break;
    text += unit >= 0x20 && unit < 0x7f ? static_cast<char>(unit) : '?';
  }
  return base::clean_text(text, 200);
}

class Configuration {
 public:
  Configuration(hive_h* hive, const KnownSystem& system) : hive_(hive), system_(system) {
    objects_ = child(hive_, hivex_root(hive_), "Objects");
  }

  std::vector<std::string> troubles() {
    std::string entry = default_entry();
    if (entry.empty()) return found_;
    if (child(hive_, objects_, entry.c_str()) == 0)
      return say(fmt::format("{} has a default entry {} that does not exist", kWhat, entry));
    std::string device = device_of(entry, kLoaderDevice, "the loader's");
    device_of(entry, kSystemDevice, "the system's");
    judge_path(entry, device);
    return found_;
  }

 private:
  std::vector<std::string> say(std::string words) {
    found_.push_back(std::move(words));
    return found_;
  }

  std::optional<Bytes> element(const std::string& object, const char* name) {
    hive_node_h node = find_key(hive_, objects_, {object, "Elements", name});
    auto value = find_value(hive_, node, "Element", kMaxElement);
    if (!value) return std::nullopt;
    return value->bytes;
  }

  // Empty if there is none; then it was said why.
  std::string default_entry() {
    if (child(hive_, objects_, kBootManager) == 0) {
      say(fmt::format("{} has no boot manager", kWhat));
      return "";
    }
    auto bytes = element(kBootManager, kDefault);
    if (!bytes) bytes = element(kBootManager, kOrder);
    std::string entry = bytes ? text_of(*bytes) : "";
    if (entry.empty()) say(fmt::format("{} has no default entry", kWhat));
    return entry;
  }

  // The identity of the partition; empty for that of the boot manager, and if it is not known.
  std::string device_of(const std::string& entry, const char* name, const char* whose) {
    auto bytes = element(entry, name);
    if (!bytes) {
      say(fmt::format("{} does not say {} disk", kWhat, whose));
      return kUnknown;
    }
    if (bytes->size() < kKind + 4) return kUnknown;
    uint32_t kind = base::load_u32(bytes->data() + kKind);
    if (kind == kBootDevice) return "";
    if (kind != kPartitionDevice || bytes->size() < kDeviceSize) return kUnknown;
    bool is_mbr = base::load_u32(bytes->data() + kStyle) == kMbrStyle;
    Bytes partition(bytes->begin() + kPartition, bytes->begin() + kPartition + 16);
    Bytes disk(bytes->begin() + kDisk, bytes->begin() + kDisk + 16);
    if (is_mbr) {
      std::fill(partition.begin() + 8, partition.end(), uint8_t{0});
      std::fill(disk.begin() + 4, disk.end(), uint8_t{0});
    }
    std::string identity = base::to_hex(partition) + "/" + base::to_hex(disk);
    if (system_.has_partition(identity)) return identity;
    say(fmt::format(
        "{} looks for {} partition by an identity that none of its disks has (the disk's "
        "signature or GUID may have changed)",
        kWhat, whose));
    return kUnknown;
  }

  void judge_path(const std::string& entry, const std::string& device) {
    auto bytes = element(entry, kLoaderPath);
    std::string path = bytes ? text_of(*bytes) : "";
    if (path.empty()) {
      say(fmt::format("{} does not name the loader", kWhat));
      return;
    }
    std::string name = path;
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    const char* wrong = system_.is_uefi ? ".exe" : ".efi";
    if (name.ends_with(wrong)) {
      say(fmt::format("{} names the loader {}, which is for {}, and it starts by {}", kWhat, path,
                      system_.is_uefi ? "BIOS" : "UEFI", system_.is_uefi ? "UEFI" : "BIOS"));
    }
    std::replace(path.begin(), path.end(), '\\', '/');
    if (device != kUnknown && !system_.has_file(device, path))
      say(fmt::format("{} names the loader {}, which is not there", kWhat, path));
  }

  static constexpr const char* kUnknown = "?";
  hive_h* hive_;
  const KnownSystem& system_;
  hive_node_h objects_ = 0;
  std::vector<std::string> found_;
};

}  // namespace

std::vector<std::string> troubles_of_boot(base::ByteView bytes, const std::string& scratch_path,
                                          const KnownSystem& system) {
  Hive hive = open_hive(bytes, scratch_path, kWhat);
  return Configuration(hive.get(), system).troubles();
}

}  // namespace appliance::boot::windows
