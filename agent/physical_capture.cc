#include "agent/physical_capture.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/host_name.h"
#include "agent/physical_definition.h"
#include "agent/state_layout.h"
#include "agent/volume_snapshot.h"
#include "base/error.h"
#include "base/text.h"
#include "images/sources/raw_disk_source.h"

namespace agent {
namespace {

class PhysicalCapture : public Capture {
 public:
  PhysicalCapture(const std::vector<ImageDisk>& disks, const std::string& root,
                  const std::vector<std::string>& unprotected, MachineLock lock,
                  const CaptureSettings& settings)
      : lock_(std::move(lock)) {
    // Device mapper names are at most 127 bytes.
    std::string prefix = "muletto-" + machine_file_name(settings.machine_name) + "-";
    remove_abandoned_snapshots(prefix);
    // All snapshots first: as near to one instant as LVM allows.
    std::vector<std::string> paths;
    for (const ImageDisk& disk : disks) paths.push_back(take_snapshot(disk, prefix));
    details_.time_ms = base::now_ms();
    for (size_t i = 0; i < disks.size(); ++i) open_disk(disks[i], paths[i]);
    describe(root, unprotected);
  }

  const std::vector<CapturedDisk>& disks() const override { return disks_; }
  const images::PointDetails& details() const override { return details_; }
  void check() override {
    for (const auto& snapshot : snapshots_) snapshot->check();
  }
  void end_reading() override {
    check();
    for (CapturedDisk& disk : disks_) disk.source.reset();
    snapshots_.clear();
  }
  void committed(const images::PointId&) noexcept override {}

 private:
  // The path to read the disk from.
  std::string take_snapshot(const ImageDisk& disk, const std::string& prefix) {
    base::check_name(disk.name, "disk's name");
    auto snapshot = VolumeSnapshot::of(disk.path, prefix);
    if (!snapshot) {
      live_.push_back(disk.name);
      return disk.path;
    }
    snapshots_.push_back(std::move(snapshot));
    return snapshots_.back()->path();
  }

  void open_disk(const ImageDisk& disk, const std::string& path) {
    auto source = std::make_unique<images::RawDiskSource>(path);
    uint64_t size = source->size();
    disks_.push_back(
        {disk.name, size, {false, "a block device does not record changes"}, std::move(source)});
  }

  void describe(const std::string& root, const std::vector<std::string>& unprotected) {
    details_.host = host_name();
    details_.definition = physical_definition(root);
    std::vector<std::pair<std::string, DiskDecision>> decisions;
    for (const CapturedDisk& disk : disks_) decisions.emplace_back(disk.name, disk.decision);
    details_.consistency =
        live_.empty() ? images::Consistency::file_system : images::Consistency::crash;
    std::string live;
    for (const std::string& name : live_) live += (live.empty() ? "" : ", ") + name;
    std::string how;
    if (!live_.empty()) {
      how = fmt::format(
          "{} read without a snapshot, while the server wrote: writes made during the read may be "
          "in "
          "the point in part, which is less than after a power cut",
          live);
    } else if (snapshots_.size() > 1) {
      how = "the volumes' snapshots were taken one after the other";
    }
    details_.note = joined_note({full_read_note(decisions), how, missing_note(unprotected)});
  }

  // Members are destroyed in reverse: sources, then snapshots, then the lock.
  MachineLock lock_;
  std::vector<std::unique_ptr<VolumeSnapshot>> snapshots_;
  std::vector<std::string> live_;  // names of disks without a snapshot
  std::vector<CapturedDisk> disks_;
  images::PointDetails details_;
};

}  // namespace

std::unique_ptr<Capture> capture_physical(std::vector<ImageDisk> disks, const std::string& root,
                                          MachineLock lock, const CaptureSettings& settings) {
  std::vector<std::string> unprotected;
  if (disks.empty()) {
    for (const std::string& name : physical_disks(root))
      disks.push_back({name, root + "/dev/" + name, "raw"});
    for (const std::string& name : usb_disks(root)) unprotected.push_back(name + " (at USB)");
  }
  if (disks.empty())
    throw base::Error(base::ErrorCode::not_found, "this server has no fixed disk to capture");
  std::vector<DiskLabel> labels;
  for (const ImageDisk& disk : disks) labels.push_back({disk.name, disk.path});
  std::vector<std::string> wanted = wanted_disks(labels, settings);
  auto is_excluded = [&](const ImageDisk& disk) {
    return std::find(wanted.begin(), wanted.end(), disk.name) == wanted.end();
  };
  for (const ImageDisk& disk : disks) {
    if (is_excluded(disk)) unprotected.push_back(disk.name + " (excluded)");
  }
  std::erase_if(disks, is_excluded);
  return std::make_unique<PhysicalCapture>(disks, root, unprotected, std::move(lock), settings);
}

}  // namespace agent
