#include "appliance/boot/windows/windows_examination.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "appliance/boot/windows/partition_view.h"
#include "appliance/boot/windows/windows_sentences.h"
#include "base/clean_text.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/scratch_directory.h"

namespace appliance::boot {
namespace {

using nlohmann::json;

constexpr size_t kMaxWords = 400;
constexpr size_t kMaxPartitions = 16;
constexpr size_t kMaxTroubles = 16;

// The partitions of a disk that begin as NTFS does.
std::vector<const PartitionIdentity*> ntfs_of(const WindowsDisk& disk) {
  std::vector<const PartitionIdentity*> found;
  for (const PartitionIdentity& each : disk.partitions)
    if (each.is_ntfs && each.size != 0 && found.size() < kMaxPartitions) found.push_back(&each);
  return found;
}

std::string trouble_sentence(const std::string& clause) {
  return fmt::format("Windows will probably not start: {}.", clause);
}

void take_answer(const json& answer, WindowsFindings& findings) {
  findings.has_windows = true;
  for (const json& each : base::expect_list(answer, "changes", kMaxWindowsChanges))
    findings.changes.push_back(windows_change_sentence(each));
  findings.has_virtio_disk = base::expect_flag(answer, "virtio_disk");
  findings.has_virtio_scsi = base::expect_flag(answer, "virtio_scsi");
  findings.has_virtio_network = base::expect_flag(answer, "virtio_network");
  if (base::expect_flag(answer, "fast_start")) findings.notes.push_back(kFastStartSentence);
}

// What the boot manager needs of the EFI system partition; the configuration is none if it is
// missing, which was said then.
std::optional<base::Bytes> efi_configuration(const std::vector<WindowsDisk>& disks,
                                             WindowsFindings& findings) {
  auto efi = std::find_if(disks.begin(), disks.end(),
                          [](const WindowsDisk& each) { return each.has_efi_files; });
  if (efi == disks.end()) return std::nullopt;  // firmware_of() and its notes say that
  if (!efi->has_boot_manager) {
    findings.notes.push_back(
        trouble_sentence("its EFI system partition has no \\EFI\\Microsoft\\Boot\\bootmgfw.efi"));
  }
  if (!efi->boot_configuration.empty()) return efi->boot_configuration;
  findings.notes.push_back(trouble_sentence(
      "its EFI system partition has no boot configuration (\\EFI\\Microsoft\\Boot\\BCD)"));
  return std::nullopt;
}

void judge_boot(const std::vector<WindowsDisk>& disks, const WindowsDisk& windows,
                PartitionView& view, bool is_uefi, WindowsFindings& findings) {
  json partitions = json::object();
  for (const WindowsDisk& disk : disks)
    for (const PartitionIdentity& each : disk.partitions) partitions[each.identity] = "";
  auto ntfs = ntfs_of(windows);
  for (size_t i = 0; i < ntfs.size(); ++i) partitions[ntfs[i]->identity] = view.path(i);
  base::ScratchDirectory scratch("/var/tmp", "muletto-windows");
  std::string input;
  if (is_uefi) {
    auto configuration = efi_configuration(disks, findings);
    if (!configuration) return;
    input = scratch.path() + "/BCD";
    std::ofstream file(input, std::ios::binary);
    file.write(reinterpret_cast<const char*>(configuration->data()),
               static_cast<std::streamsize>(configuration->size()));
  }
  json answer =
      view.run({"boot", base::dump_text({{"uefi", is_uefi}, {"partitions", partitions}})}, input);
  bool is_elsewhere = !base::expect_flag(answer, "found") && disks.size() > 1;
  if (is_elsewhere) return;  // on a disk that was not looked into
  for (const json& each : base::expect_list(answer, "troubles", kMaxTroubles))
    findings.notes.push_back(
        trouble_sentence(base::clean_text(each.get<std::string>(), kMaxWords)));
}

// True if Windows is on this disk.
bool examine_disk(const std::vector<WindowsDisk>& disks, const WindowsDisk& disk,
                  const std::string& socket_path, bool is_uefi, WindowsFindings& findings) {
  auto ntfs = ntfs_of(disk);
  if (ntfs.empty()) return false;
  std::vector<PresentedRange> ranges;
  for (const PartitionIdentity* each : ntfs) ranges.push_back({each->offset, each->size});
  PartitionView view(exported_image(socket_path, disk.name), ranges, PartitionView::Access::read);
  bool found = false;
  for (size_t i = 0; i < ranges.size() && !found; ++i) {
    try {
      json answer = view.run({"examine", view.path(i)});
      found = base::expect_flag(answer, "windows");
      if (found) take_answer(answer, findings);
    } catch (const std::exception& error) {
      found = true;
      findings.obstacles.push_back(
          fmt::format("Windows on disk {} cannot be prepared for other hardware: {}.", disk.name,
                      base::clean_text(error.what(), kMaxWords)));
    }
  }
  if (found) judge_boot(disks, disk, view, is_uefi, findings);
  return found;
}

}  // namespace

WindowsFindings examine_windows(const std::vector<WindowsDisk>& disks,
                                const std::string& socket_path, bool is_uefi) {
  WindowsFindings findings;
  try {
    for (const WindowsDisk& disk : disks)
      if (examine_disk(disks, disk, socket_path, is_uefi, findings)) break;
  } catch (const std::exception& error) {
    findings.obstacles.push_back(fmt::format("Windows was not looked into before the start: {}.",
                                             base::clean_text(error.what(), kMaxWords)));
  }
  return findings;
}

}  // namespace appliance::boot
