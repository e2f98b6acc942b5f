#include "appliance/verify/found_system.h"

#include <cctype>
#include <sstream>

#include "base/clean_text.h"
#include "base/text.h"

namespace appliance::verify {
namespace {

constexpr size_t kMaxName = 100, kMaxMounts = 64;

bool is_unix(std::string_view type) {
  return type == "ext2" || type == "ext3" || type == "ext4" || type == "xfs" || type == "btrfs";
}

std::vector<std::string> cat(const std::string& path, const std::string& file) {
  return {"grub-fstest", path, "cat", "(loop0)" + file};
}

// Where a root file system is in Btrfs, by the usual names of its subvolume.
std::vector<std::string> roots_of(std::string_view type) {
  if (type == "btrfs") return {"", "/@", "/root", "/@rootfs", "/@/.snapshots/1/snapshot"};
  return {""};
}

}  // namespace

std::vector<std::vector<std::string>> system_commands(std::string_view type,
                                                      const std::string& path) {
  std::vector<std::vector<std::string>> commands;
  if (is_unix(type)) {
    for (const std::string& root : roots_of(type)) {
      // The first is usually a symbolic link to the second.
      commands.push_back(cat(path, root + "/usr/lib/os-release"));
      commands.push_back(cat(path, root + "/etc/os-release"));
    }
  } else if (type == "ntfs") {
    commands.push_back({"grub-fstest", path, "ls", "(loop0)/Windows/System32/"});
  }
  return commands;
}

std::string system_in(const std::string& output) {
  for (const std::string& line : base::split(output, '\n')) {
    if (!line.starts_with("PRETTY_NAME=")) continue;
    std::string name = base::trim(line.substr(12));
    if (name.size() >= 2 && (name.front() == '"' || name.front() == '\'')) {
      name = name.substr(1, name.size() - 2);
    }
    return base::clean_text(name, kMaxName);
  }
  std::string lower = output;
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower.find("ntoskrnl.exe") == std::string::npos ? "" : "Windows";
}

std::vector<std::vector<std::string>> fstab_commands(std::string_view type,
                                                     const std::string& path) {
  std::vector<std::vector<std::string>> commands;
  if (!is_unix(type)) return commands;
  for (const std::string& root : roots_of(type)) commands.push_back(cat(path, root + "/etc/fstab"));
  return commands;
}

std::vector<WantedMount> mounts_in(const std::string& fstab) {
  std::vector<WantedMount> mounts;
  for (const std::string& line : base::split(fstab, '\n')) {
    std::istringstream words(line);
    std::string what, where, type, options;
    words >> what >> where >> type >> options;
    if (!what.starts_with("UUID=") || type == "swap" || mounts.size() == kMaxMounts) continue;
    std::string list = "," + options + ",";
    if (list.find(",noauto,") != std::string::npos || list.find(",nofail,") != std::string::npos)
      continue;
    std::string uuid = base::clean_text(what.substr(5), kMaxName);
    std::erase(uuid, '"');
    mounts.push_back({uuid, base::clean_text(where, kMaxName)});
  }
  return mounts;
}

}  // namespace appliance::verify
