#include "agent/stopped_capture.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "agent/host_name.h"
#include "agent/machine_state_files.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "images/sources/file_change_detector.h"
#include "images/sources/image_file_source.h"

namespace agent {
namespace {

class StoppedCapture : public Capture {
 public:
  StoppedCapture(const StoppedDomain& domain, MachineLock lock, const CaptureSettings& settings)
      : domain_(domain), settings_(settings), lock_(std::move(lock)),
        facts_(domain_facts(domain.inactive_xml)) {
    for (DomainDisk& disk : facts_.disks) {
      auto volume = domain_.volume_paths.find(disk.name);
      if (volume != domain_.volume_paths.end()) disk.path = volume->second;
    }
  }

  void begin(const std::optional<BasePoint>& last);

  const std::vector<CapturedDisk>& disks() const override { return disks_; }
  const images::PointDetails& details() const override { return details_; }
  void check() override;
  void end_reading() override;
  void committed(const images::PointId& point) noexcept override;

 private:
  void open_disk(const DomainDisk& disk, TrackingEvidence& evidence);
  void describe();

  StoppedDomain domain_;
  CaptureSettings settings_;
  MachineLock lock_;
  DomainFacts facts_;
  std::optional<TrackingRecord> record_;
  std::vector<images::FileChangeDetector> detectors_;
  std::vector<CapturedDisk> disks_;
  images::PointDetails details_;
};

void StoppedCapture::begin(const std::optional<BasePoint>& last) {
  std::vector<DiskLabel> labels;
  for (const DomainDisk& disk : facts_.disks) labels.push_back({disk.name, disk.path});
  std::vector<std::string> wanted = wanted_disks(labels, settings_);
  record_ = load_tracking(settings_.state_directory, settings_.machine_name);
  TrackingEvidence evidence{.full_wanted = settings_.full, .last = last, .record = record_};
  evidence.domain_uuid = domain_.uuid;
  evidence.checkpoint_exists = domain_.checkpoint_exists;
  evidence.checkpoint_disks = domain_.checkpoint_disks;
  for (const DomainDisk& disk : facts_.disks) {
    if (std::find(wanted.begin(), wanted.end(), disk.name) != wanted.end())
      open_disk(disk, evidence);
    else facts_.unprotected.push_back(disk.name + " (excluded)");
  }
  describe();
  check();
}

void StoppedCapture::open_disk(const DomainDisk& disk, TrackingEvidence& evidence) {
  if (disk.path.empty()) {
    throw base::Error(
        base::ErrorCode::unsupported,
        fmt::format("disk {} is of type {}, which can be read only while the machine runs",
                    disk.name, disk.kind));
  }
  images::ImageOptions options{.format = disk.format,
                               .runtime_directory = settings_.run_directory,
                               .allowed = settings_.allowed_files,
                               .share_with_writers = true};
  for (const std::string& base : disk.base_paths) {
    std::error_code failed;
    if (std::filesystem::exists(base, failed)) options.allowed.push_back(base);
  }
  auto image = images::open_image_source(disk.path, options);
  for (const std::string& file : image.files) detectors_.emplace_back(file);
  uint64_t size = image.disk->size();
  std::string obstacle;
  if (disk.format == "raw")
    obstacle = "the record of changes of a raw disk ends when the machine is switched off";
  DiskDecision decision = decide(evidence, {disk.name, disk.format, size, obstacle});
  if (decision.incremental) {
    if (images::has_sound_bitmap(disk.path, record_->checkpoint, options)) {
      options.dirty_bitmap = record_->checkpoint;
      image = images::open_image_source(disk.path, options);
    } else {
      decision = {false, "its record of changes is lost or broken"};
    }
  }
  disks_.push_back({disk.name, size, decision, std::move(image.disk)});
}

void StoppedCapture::describe() {
  details_.host = host_name();
  details_.time_ms = base::now_ms();
  // If its guest has closed its files, nothing is more consistent than a disk that is not in use.
  details_.consistency =
      domain_.unclean_stop.empty() ? images::Consistency::file_system : images::Consistency::crash;
  details_.definition = machine_definition(domain_.inactive_xml);
  MachineStateFiles state = read_state_files(facts_, domain_.name, domain_.uuid, settings_);
  details_.definition.state_files = std::move(state.files);
  std::vector<std::pair<std::string, DiskDecision>> decisions;
  for (const CapturedDisk& disk : disks_) decisions.emplace_back(disk.name, disk.decision);
  std::vector<std::string> missing = facts_.unprotected;
  missing.insert(missing.end(), state.missing.begin(), state.missing.end());
  details_.note = joined_note({full_read_note(decisions), "the machine was shut off",
                               domain_.unclean_stop, missing_note(missing)});
}

void StoppedCapture::check() {
  if (domain_.is_running()) {
    throw base::Error(
        base::ErrorCode::busy,
        fmt::format("machine {} was started during the sync; nothing was saved, try again",
                    settings_.machine_name));
  }
  for (const images::FileChangeDetector& detector : detectors_) detector.check();
}

void StoppedCapture::end_reading() {
  check();
  for (CapturedDisk& disk : disks_) disk.source.reset();
}

void StoppedCapture::committed(const images::PointId& point) noexcept {
  try {
    TrackingRecord next;
    if (record_) next = *record_;
    next.point = point;
    next.disks.clear();
    next.monitor.reset();  // it ended with QEMU
    for (const CapturedDisk& disk : disks_) {
      if (disk.decision.incremental) next.disks.push_back(disk.name);
    }
    if (next.disks.empty()) {
      forget_tracking(settings_.state_directory, settings_.machine_name);
    } else {
      save_tracking(settings_.state_directory, settings_.machine_name, next);
    }
  } catch (const base::Error& error) {
    base::log().warn("the next sync of {} will read in full: {}", settings_.machine_name,
                     error.message());
  }
}

}  // namespace

std::unique_ptr<Capture> capture_stopped(const StoppedDomain& domain,
                                         const std::optional<BasePoint>& last, MachineLock lock,
                                         const CaptureSettings& settings) {
  auto capture = std::make_unique<StoppedCapture>(domain, std::move(lock), settings);
  capture->begin(last);
  return capture;
}

}  // namespace agent
