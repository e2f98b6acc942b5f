// What is on a file system beside its structure: which operating system, and what its fstab wants.
// The files are read by GRUB's own readers (grub-fstest), which know all the usual file systems; the
// programs are run confined, and their output is what a guest wrote. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace appliance::verify {

// Commands in the order in which they are tried, until one ends with 0 and prints something that
// system_in() knows. Empty for a type that GRUB cannot read.
std::vector<std::vector<std::string>> system_commands(std::string_view type,
                                                      const std::string& path);

// "Debian GNU/Linux 12 (bookworm)", "Windows"; empty: none that is known. At most 100 bytes.
std::string system_in(const std::string& output);

// The commands that print the fstab.
std::vector<std::vector<std::string>> fstab_commands(std::string_view type,
                                                     const std::string& path);

struct WantedMount {
  std::string uuid;         // of a file system, as written
  std::string mount_point;  // "/data"
};
// The entries with UUID= that a start waits for: not "noauto", not "nofail". At most 64.
std::vector<WantedMount> mounts_in(const std::string& fstab);

}  // namespace appliance::verify
