#include "appliance/verify/file_system_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/clean_text.h"
#include "base/confinement.h"
#include "base/text.h"

namespace appliance::verify {
namespace {

constexpr size_t kMaxWords = 160;
// "$0" "$@" is the command; its status is the pipe's.
constexpr const char* kIntoPipe =
    R"(set -o pipefail; "$0" "$@" 2>&1 | { head -c 65536; cat > /dev/null; })";

bool is_ext(std::string_view type) { return type == "ext2" || type == "ext3" || type == "ext4"; }

bool contains(const std::string& text, std::string_view words) {
  return text.find(words) != std::string::npos;
}

template <size_t Count>
bool contains_any(const std::string& text, const std::array<std::string_view, Count>& phrases) {
  return std::any_of(phrases.begin(), phrases.end(),
                     [&](std::string_view each) { return contains(text, each); });
}

std::string shown(std::string line) {
  line = base::trim(line);
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < ' ' || static_cast<unsigned char>(c) >= 0x7f) c = ' ';
  }
  return line.substr(0, kMaxWords);
}

// The first line that `wanted` accepts, without the leading path; empty if there is none.
template <typename Wanted>
std::string first_line(const std::string& output, const std::string& path, Wanted wanted) {
  for (std::string line : base::split(output, '\n')) {
    size_t prefix = line.find(path + ": ");
    if (prefix == 0) line.erase(0, path.size() + 2);
    if (!base::trim(line).empty() && wanted(line)) return shown(line);
  }
  return "";
}

std::string any_line(const std::string& output, const std::string& path) {
  return first_line(output, path, [](const std::string&) { return true; });
}

CheckOutcome outcome_of_ext(const std::string& path, int status, const std::string& output) {
  // e2fsck(8): a sum of 1: repaired, 2: repaired, restart needed, 4: left unrepaired, 8: could not
  // work.
  if (status >= 0 && status < 4) return {CheckResult::whole, ""};
  std::string words = first_line(output, path, [](const std::string& line) {
    return !contains(line, "recovering journal") && !contains(line, "UNEXPECTED INCONSISTENCY") &&
           !contains(line, "contains a file system with errors") &&
           !contains(line, "not cleanly unmounted") && !contains(line, "check forced");
  });
  return {(status & ~3) == 4 ? CheckResult::damaged : CheckResult::unknown, words};
}

CheckOutcome outcome_of_xfs(const std::string& path, int status, const std::string& output) {
  if (status == 0) return {CheckResult::whole, ""};
  if (contains(output, "valuable metadata changes in a log"))
    return {CheckResult::unknown, "its journal has to be replayed first, by a mount"};
  // Also a file system that is newer than the program, or too large for the memory it may use.
  constexpr std::array<std::string_view, 7> kGaveUp{"fatal error",
                                                    "setrlimit failed",
                                                    "Cannot allocate memory",
                                                    "more recent xfs_repair",
                                                    "unsupported filesystem features",
                                                    "Required memory for repair",
                                                    "may not be sufficient"};
  if (contains_any(output, kGaveUp)) {
    return {CheckResult::unknown, first_line(output, path, [&](const std::string& line) {
              return contains_any(line, kGaveUp);
            })};
  }
  std::string words = first_line(output, path, [](const std::string& line) {
    bool step = line.starts_with("Phase ") || line.starts_with("        - ") ||
                line.starts_with("Cannot get host") || line.starts_with("Repair may fail") ||
                line.starts_with("the image and the host");
    return !step;
  });
  return {status == 1 && !words.empty() ? CheckResult::damaged : CheckResult::unknown, words};
}

// ntfsfix also says "Volume is corrupt" if it cannot even open the file.
CheckOutcome outcome_of_ntfs(const std::string& path, int status, const std::string& output) {
  if (status == 0) return {CheckResult::whole, ""};
  constexpr std::array<std::string_view, 4> kDamage{"FILE magic", "Failed to load $MFT",
                                                    "INDX magic", "$MFTMirr does not match $MFT"};
  if (!contains_any(output, kDamage)) return {CheckResult::unknown, any_line(output, path)};
  return {CheckResult::damaged, first_line(output, path, [&](const std::string& line) {
            return contains_any(line, kDamage);
          })};
}

// Most of what fsck.fat finds (lost clusters, a wrong size, the dirty bit) is left by any power
// cut, and is harmless. The tables are damaged if it prints one of these.
CheckOutcome outcome_of_fat(const std::string& path, int status, const std::string& output) {
  if (status == 0) return {CheckResult::whole, ""};
  if (status != 1) return {CheckResult::unknown, any_line(output, path)};
  constexpr std::array<std::string_view, 7> kDamage{
      "out of range", "appear to be corrupt", "Start cluster", "start cluster", "share clusters",
      "Circular",     "bad cluster number"};
  std::string words = first_line(
      output, path, [&](const std::string& line) { return contains_any(line, kDamage); });
  return {words.empty() ? CheckResult::whole : CheckResult::damaged, words};
}

CheckOutcome outcome_of_btrfs(const std::string& path, int status, const std::string& output) {
  if (status == 0) return {CheckResult::whole, ""};
  if (status != 1 || contains(output, "missing") || contains(output, "No such file") ||
      contains(output, "unsupported"))
    return {CheckResult::unknown, any_line(output, path)};
  std::string words = first_line(output, path, [](const std::string& line) {
    return contains(line, "ERROR") || contains(line, "checksum") || contains(line, "parent");
  });
  return {words.empty() ? CheckResult::unknown : CheckResult::damaged, words};
}

}  // namespace

std::optional<FileSystemCheck> check_for(std::string_view type, const std::string& path,
                                         uint64_t memory_size) {
  if (is_ext(type)) return FileSystemCheck{{"e2fsck", "-p", "-f", path}, true};
  // xfs_repair takes back the limit of what it may write, and gives up where it may not. So it gets
  // none, and writes into a pipe.
  if (type == "xfs") {
    return FileSystemCheck{{"bash", "-c", kIntoPipe, "xfs_repair", "-n", "-f", "-m",
                            std::to_string(std::max<uint64_t>(memory_size >> 20, 512)), path},
                           false,
                           false};
  }
  if (type == "ntfs") return FileSystemCheck{{"ntfsfix", "-n", path}};
  if (type == "vfat") return FileSystemCheck{{"fsck.fat", "-n", path}};
  if (type == "btrfs") return FileSystemCheck{{"btrfs", "check", "--readonly", path}};
  return std::nullopt;
}

bool is_container(std::string_view type) {
  return type == "LVM2_member" || type == "linux_raid_member" || type == "crypto_LUKS" ||
         type == "BitLocker";
}

bool is_uninteresting(std::string_view type) { return type == "swap"; }

CheckOutcome outcome_of(std::string_view type, const std::string& path, int status,
                        const std::string& output) {
  if (status == 127) return {CheckResult::unknown, "the program that checks it is not installed"};
  if (status == base::kNotConfined)
    return {CheckResult::unknown, "its check could not be run without privileges: " +
                                      base::clean_text(output, kMaxWords)};
  if (status > 128)
    return {CheckResult::unknown, fmt::format("its check was ended by signal {}", status - 128)};
  if (is_ext(type)) return outcome_of_ext(path, status, output);
  if (type == "xfs") return outcome_of_xfs(path, status, output);
  if (type == "ntfs") return outcome_of_ntfs(path, status, output);
  if (type == "vfat") return outcome_of_fat(path, status, output);
  if (type == "btrfs") return outcome_of_btrfs(path, status, output);
  return {};
}

}  // namespace appliance::verify
