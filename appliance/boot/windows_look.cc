#include "appliance/boot/windows_look.h"

#include <fmt/format.h>

#include <algorithm>

#include "appliance/boot/machine/disk_inspection.h"
#include "appliance/boot/machine/fat_reader.h"
#include "base/clean_text.h"
#include "base/error.h"
#include "base/scratch_directory.h"
#include "images/export/export_process.h"

namespace appliance::boot {
namespace {

using base::Error;
using base::ErrorCode;

constexpr uint32_t kMaxBootConfiguration = 4 << 20;  // bytes
constexpr const char* kBootFolder = "EFI/Microsoft/Boot";
constexpr size_t kMaxWords = 400;

void read_efi_files(images::DiskReader& reader, WindowsDisk& disk) {
  for (const PartitionIdentity& each : disk.partitions) {
    if (!each.is_efi_system) continue;
    auto files = FatReader::open(reader, each.offset);
    if (!files) continue;
    disk.has_efi_files = true;
    for (const FatEntry& entry : files->list(kBootFolder))
      disk.has_boot_manager |= !entry.is_directory && is_same_fat_name(entry.name, "bootmgfw.efi");
    auto configuration = files->read_file(std::string(kBootFolder) + "/BCD", kMaxBootConfiguration);
    if (configuration) disk.boot_configuration = std::move(*configuration);
    return;
  }
}

struct Look {
  std::vector<WindowsDisk> disks;
  bool has_efi_loader = false;
};

Look look_at_disks(images::StoreReader& reader, const images::Point& point) {
  Look look;
  for (const images::PointDisk& each : point.disks) {
    try {
      auto disk_reader = reader.open_disk(point.id, each.name);
      DiskInspection inspection = inspect_disk(*disk_reader);
      look.has_efi_loader |= firmware_of(inspection) == images::Firmware::uefi;
      WindowsDisk disk;
      disk.name = each.name;
      disk.partitions = partition_identities(*disk_reader, inspection.sector_size);
      if (disk.partitions.empty()) continue;
      read_efi_files(*disk_reader, disk);
      look.disks.push_back(std::move(disk));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::corrupt) throw;  // the boot's own inspection says it
    }
  }
  return look;
}

images::ExportOptions export_options(const PointSource& source, const images::Point& point,
                                     const BootSettings& settings, const std::string& folder) {
  images::ExportOptions options;
  options.store = source.store;
  options.point = point.id.hex();
  for (const images::PointDisk& disk : point.disks) options.disks.push_back(disk.name);
  options.socket_path = folder + "/export.sock";
  options.plugin_path = settings.plugin_path;
  options.plugin_command = settings.export_command;
  options.thread_count = 4;
  options.cache_size = settings.export_cache_size;
  return options;
}

}  // namespace

WindowsFindings look_into_windows(const PointSource& source, const images::PointId& id,
                                  const BootOptions& options, const BootSettings& settings) {
  if (options.windows == WindowsPreparation::none) return {};
  images::Point point = source.reader->read_point(id);
  Look look = look_at_disks(*source.reader, point);
  bool has_ntfs = std::any_of(look.disks.begin(), look.disks.end(), [](const WindowsDisk& disk) {
    return std::any_of(disk.partitions.begin(), disk.partitions.end(),
                       [](const PartitionIdentity& each) { return each.is_ntfs; });
  });
  if (!has_ntfs) return {};
  images::Firmware firmware = options.firmware.value_or(point.definition.firmware);
  bool is_uefi = firmware == images::Firmware::unknown ? look.has_efi_loader
                                                       : firmware == images::Firmware::uefi;
  try {
    base::ScratchDirectory scratch(settings.run_directory, "windows");
    auto server =
        images::ExportProcess::start(export_options(source, point, settings, scratch.path()));
    WindowsFindings findings = examine_windows(look.disks, server.socket_path(), is_uefi);
    server.stop();
    return findings;
  } catch (const Error& error) {
    WindowsFindings failed;
    failed.obstacles.push_back(fmt::format("Windows was not looked into before the start: {}.",
                                           base::clean_text(error.message(), kMaxWords)));
    return failed;
  }
}

}  // namespace appliance::boot
