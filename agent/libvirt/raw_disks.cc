#include "agent/libvirt/raw_disks.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "images/sources/nbd_disk_source.h"

namespace agent::libvirt {
namespace {

constexpr char kMapExport[] = "muletto-map-";

// libvirt gives each device its alias as QEMU's id; QEMU tells the id, or the path of a part of it.
bool is_of(const monitor::Device& device, const std::string& alias) {
  std::string path = "/machine/peripheral/" + alias;
  return device.qdev == alias || device.qdev == path || device.qdev.starts_with(path + "/");
}

}  // namespace

RawDisks::RawDisks(const Domain& domain, const SyncPlace& place)
    : place_(place), monitor_(domain), tracking_(monitor_) {}

void RawDisks::locate(const std::vector<DomainDisk>& disks,
                      std::vector<monitor::RawDisk>& located) {
  std::vector<monitor::Device> devices = monitor::devices(monitor_);
  for (const DomainDisk& disk : disks) {
    auto device = std::find_if(devices.begin(), devices.end(), [&](const auto& each) {
      return !disk.alias.empty() && is_of(each, disk.alias);
    });
    if (device == devices.end()) {
      problems_[disk.name] =
          "its changes cannot be recorded, because QEMU's monitor does not tell which of its disks "
          "it is";
    } else {
      located.push_back({disk.name, device->node, device->file});
    }
  }
}

void RawDisks::examine(const std::vector<DomainDisk>& disks,
                       const std::optional<MonitorRecord>& record) {
  std::vector<DomainDisk> raw;
  std::copy_if(disks.begin(), disks.end(), std::back_inserter(raw),
               [](const DomainDisk& disk) { return disk.format == "raw"; });
  if (raw.empty()) return;
  try {
    std::vector<monitor::RawDisk> located;
    locate(raw, located);
    obstacles_ = tracking_.examine(located, record);
  } catch (const base::Error& error) {
    obstacles_.clear();
    for (const DomainDisk& disk : raw)
      problems_[disk.name] = "its changes cannot be recorded: " + error.message();
  }
}

std::string RawDisks::problem(const std::string& disk) const {
  auto found = problems_.find(disk);
  return found == problems_.end() ? "" : found->second;
}

void RawDisks::begin() noexcept {
  if (obstacles_.empty()) return;
  try {
    mark_bitmaps(place_);
    tracking_.begin();
    begun_ = true;
  } catch (const base::Error& error) {
    base::log().warn("the next sync of {} reads its raw disks in full: {}", place_.machine_name,
                     error.message());
  }
}

std::unique_ptr<images::DiskSource> RawDisks::map_of(const std::string& disk,
                                                     const std::string& socket_path) {
  std::string bitmap = tracking_.copy_of_changes(disk);
  monitor::export_node(monitor_, tracking_.node_of(disk), kMapExport + disk, bitmap);
  images::NbdOptions options;
  options.socket_path = socket_path;
  options.export_name = kMapExport + disk;
  options.dirty_bitmap = bitmap;
  options.connection_count = 1;
  return std::make_unique<images::NbdDiskSource>(options);
}

std::optional<MonitorRecord> RawDisks::record() const {
  if (!begun_) return std::nullopt;
  return tracking_.record();
}

void RawDisks::keep_new() noexcept {
  if (begun_) tracking_.keep_new();
}

}  // namespace agent::libvirt
