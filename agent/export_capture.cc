#include "agent/export_capture.h"

#include <algorithm>
#include <set>

#include "agent/host_name.h"
#include "agent/state_layout.h"
#include "base/text.h"
#include "images/imports/machine_export.h"
#include "images/sources/file_change_detector.h"

namespace agent {
namespace {

class ExportCapture : public Capture {
 public:
  ExportCapture(images::MachineExport machine, const CaptureSettings& settings)
      : machine_(std::move(machine)) {
    std::set<std::string> files(machine_.files.begin(), machine_.files.end());
    for (const std::string& file : files) detectors_.emplace_back(file);
    std::vector<DiskLabel> labels;
    for (const images::ExportedDisk& disk : machine_.disks) labels.push_back({disk.name, ""});
    std::vector<std::string> wanted = wanted_disks(labels, settings);
    for (images::ExportedDisk& disk : machine_.disks) {
      if (std::find(wanted.begin(), wanted.end(), disk.name) == wanted.end()) {
        machine_.missing.push_back(disk.name + " (excluded)");
        continue;
      }
      uint64_t size = disk.source->size();
      disks_.push_back(
          {disk.name, size, {false, "an export does not record changes"}, std::move(disk.source)});
    }
    details_.host = host_name();
    details_.time_ms = base::now_ms();
    details_.consistency = images::Consistency::crash;
    details_.definition = machine_.definition;
    details_.note = images::note_of(machine_);
  }

  const std::vector<CapturedDisk>& disks() const override { return disks_; }
  const images::PointDetails& details() const override { return details_; }
  void check() override {
    for (const images::FileChangeDetector& detector : detectors_) detector.check();
  }
  void end_reading() override {
    check();
    for (CapturedDisk& disk : disks_) disk.source.reset();
  }
  void committed(const images::PointId&) noexcept override {}

 private:
  images::MachineExport machine_;
  std::vector<images::FileChangeDetector> detectors_;
  std::vector<CapturedDisk> disks_;
  images::PointDetails details_;
};

}  // namespace

std::unique_ptr<Capture> capture_export(const std::string& path, const CaptureSettings& settings,
                                        std::stop_token stop) {
  images::MachineExportOptions options;
  options.runtime_directory = settings.run_directory;
  // /run is in memory.
  options.unpack_directory = scratch_parent(settings.state_directory);
  options.allowed = settings.allowed_files;
  options.stop = std::move(stop);
  return std::make_unique<ExportCapture>(images::open_machine_export(path, options), settings);
}

}  // namespace agent
