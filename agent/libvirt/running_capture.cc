// The order of steps, and what happens if the agent dies between any two of them:
//
//   guard starts          → nothing to do
//   scratch files made    → the guard removes them
//   bitmaps of raw disks  → the guard removes the new ones
//   freeze                → the guard thaws
//   backup-begin          → the guard thaws, ends the job, deletes the new checkpoint
//   thaw, copy            → the guard ends the job, deletes the new checkpoint
//   end of the job        → the guard deletes the new checkpoint
//   commit of the point   → the same: the record still names the old checkpoint and the old point,
//                           so the next sync finds another last point and reads in full. Safe, and
//                           rare.
//   the record is saved   → the guard deletes the old checkpoint instead
//
// When the new checkpoint is deleted, its changes are merged into the old one. So after a failed
// sync the old one still covers all changes since its own point.
#include "agent/libvirt/running_capture.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <thread>

#include "agent/domain_xml.h"
#include "agent/host_name.h"
#include "agent/libvirt/backup_xml.h"
#include "agent/libvirt/guarded_domain.h"
#include "agent/libvirt/hook_report.h"
#include "agent/libvirt/leftovers.h"
#include "agent/libvirt/raw_disks.h"
#include "agent/machine_state_files.h"
#include "agent/monitor/mapped_source.h"
#include "agent/scratch_space.h"
#include "agent/state_layout.h"
#include "agent/sync_guard.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "images/sources/image_headers.h"
#include "images/sources/nbd_disk_source.h"

namespace agent::libvirt {
namespace {

constexpr uint32_t kConnectionCount = 4;
// How long a guest agent that froze the guest and died may take to come back.
constexpr auto kThawPatience = std::chrono::seconds(60);
constexpr auto kThawPause = std::chrono::seconds(1);

// QEMU's user and group, from the domain's DAC label, "+UID:+GID"; none if libvirt does not tell.
std::optional<FileOwner> owner_of(std::string_view label) {
  FileOwner owner;
  size_t colon = label.find(':');
  if (!label.starts_with('+') || colon == std::string_view::npos || colon + 2 > label.size())
    return std::nullopt;
  std::from_chars(label.data() + 1, label.data() + colon, owner.user);
  std::from_chars(label.data() + colon + 2, label.data() + label.size(), owner.group);
  return owner;
}

// Why a disk of a format that could be tracked cannot be; empty if it can.
std::string tracking_obstacle(const DomainDisk& disk) {
  constexpr uint32_t kFirstWithBitmaps = 3;
  if (disk.format != "qcow2" || disk.path.empty()) return "";
  uint32_t version = images::qcow2_version(disk.path);
  if (version == 0 || version >= kFirstWithBitmaps) return "";
  return fmt::format(
      "{} is a qcow2 image of version {}, which cannot hold a record of its changes; while the "
      "machine is off, 'qemu-img amend -f qcow2 -o compat=1.1 {}' makes it one that can",
      disk.path, version, disk.path);
}

class RunningCapture : public Capture {
 public:
  RunningCapture(const std::string& uri, const Domain& domain, MachineLock lock,
                 const CaptureSettings& settings)
      : domain_(domain),
        settings_(settings), place_{settings.machine_name, settings.state_directory,
                                    settings.run_directory},
        lock_(std::move(lock)), facts_(domain_facts(domain.live_xml())),
        checkpoint_(kCheckpointPrefix + base::to_hex(base::random_array<8>())),
        guard_(guard_words(uri, domain, place_), lock_.fd()), raw_(domain, place_) {}

  ~RunningCapture() override { abandon(); }

  void begin(const std::optional<BasePoint>& last);

  const std::vector<CapturedDisk>& disks() const override { return disks_; }
  const images::PointDetails& details() const override { return details_; }
  void check() override;
  void end_reading() override;
  void committed(const images::PointId& point) noexcept override;

 private:
  void decide_all(const std::optional<BasePoint>& last);
  void make_scratch_files();
  void note_hooks(const std::string& before);
  bool freeze();
  void after_failed_freeze(const base::Error& error);
  bool try_thaw();
  void thaw(bool frozen);
  BackupOutcome switch_over(std::string& why);
  void distrust(const std::string& why);
  std::vector<BackupDisk> backup_disks() const;
  std::unique_ptr<images::DiskSource> open_source(CapturedDisk& disk);
  void open_sources();
  void explain_block_jobs(const base::Error& error) const;
  void describe();
  void abandon() noexcept;
  bool tracks_any() const;

  Domain domain_;
  CaptureSettings settings_;
  SyncPlace place_;
  MachineLock lock_;
  DomainFacts facts_;
  std::string checkpoint_;  // the new one
  SyncGuard guard_;
  RawDisks raw_;
  std::optional<ScratchSpace> scratch_;
  std::vector<CapturedDisk> disks_;
  images::PointDetails details_;
  std::string freeze_note_;
  std::string thaw_note_;  // the guest may still be frozen
  bool settled_ = false;   // nothing left to undo
};

void RunningCapture::begin(const std::optional<BasePoint>& last) {
  decide_all(last);
  scratch_.emplace(place_, owner_of(facts_.owner_label), settings_.scratch_limit);
  raw_.begin();
  std::string why;
  // Each iteration excludes at least one disk's bitmap, so this ends.
  while (true) {
    make_scratch_files();
    if (switch_over(why) == BackupOutcome::begun) break;
    distrust(why);
  }
  open_sources();
  describe();
}

// Examines what exists, and decides per disk between incremental and full.
void RunningCapture::decide_all(const std::optional<BasePoint>& last) {
  std::vector<DiskLabel> labels;
  for (DomainDisk& disk : facts_.disks) {
    // Only for rules about paths, so a volume that is gone is no obstacle.
    if (!disk.volume.empty() && !settings_.excluded_disks.empty())
      disk.path = domain_.volume_path(disk.pool, disk.volume);
    labels.push_back({disk.name, disk.path});
  }
  std::vector<std::string> wanted = wanted_disks(labels, settings_);

  TrackingEvidence evidence{.full_wanted = settings_.full, .last = last};
  evidence.record = load_tracking(place_.state_directory, place_.machine_name);
  evidence.domain_uuid = domain_.uuid();
  evidence.origin = settings_.origin;
  for (const Checkpoint& checkpoint : domain_.checkpoints()) {
    if (evidence.record && checkpoint.name == evidence.record->checkpoint) {
      evidence.checkpoint_exists = true;
      evidence.checkpoint_disks = checkpoint.disks;
    }
    if (evidence.origin && checkpoint.name == evidence.origin->checkpoint)
      evidence.origin_disks = checkpoint.disks;
  }
  if (settings_.raw_tracking) {
    std::vector<DomainDisk> captured;
    std::copy_if(facts_.disks.begin(), facts_.disks.end(), std::back_inserter(captured),
                 [&](const DomainDisk& disk) {
                   return std::find(wanted.begin(), wanted.end(), disk.name) != wanted.end();
                 });
    raw_.examine(captured, evidence.record ? evidence.record->monitor : std::nullopt);
    evidence.monitor_obstacles = raw_.obstacles();
  }
  for (const DomainDisk& disk : facts_.disks) {
    if (std::find(wanted.begin(), wanted.end(), disk.name) == wanted.end()) {
      facts_.unprotected.push_back(disk.name + " (excluded)");
      continue;
    }
    uint64_t size = domain_.disk_size(disk.name);
    TrackedDisk tracked{disk.name, disk.format, size,
                        tracking_obstacle(disk) + raw_.problem(disk.name), raw_.tracks(disk.name)};
    disks_.push_back({disk.name, size, decide(evidence, tracked), nullptr});
  }
}

void RunningCapture::make_scratch_files() {
  for (const CapturedDisk& disk : disks_) scratch_->make(disk.name, disk.size);
}

// At the limit the backup job ends at once, whatever the copy is waiting for: the guest comes
// first.
void RunningCapture::check() {
  if (!domain_.running()) {
    throw base::Error(base::ErrorCode::busy,
                      fmt::format("machine {} was switched off during the sync; nothing was saved, "
                                  "the next sync reads it while it is off",
                                  place_.machine_name));
  }
  try {
    scratch_->check();
  } catch (const base::Error&) {
    domain_.end_backup();
    throw;
  }
}

// True if the guest's file systems are frozen now. Being unable to freeze does not fail the sync.
bool RunningCapture::freeze() {
  if (!settings_.freeze) return false;
  if (!facts_.guest_agent_connected || domain_.paused()) {
    freeze_note_ = domain_.paused() ? "not frozen: the machine is paused"
                                    : "not frozen: no guest agent answers";
    return false;
  }
  mark_frozen(place_);
  guard_.about_to_freeze();
  try {
    domain_.freeze();
    return true;
  } catch (const base::Error& error) {
    freeze_note_ = "not frozen: " + error.message();
    base::log().warn("{}", error.message());
    after_failed_freeze(error);
    return false;
  }
}

// The guest agent refuses at once to freeze what another program has frozen; that is for this
// program to thaw, which relies on it for a snapshot of its own. After a timeout, or without an
// answer, the freeze may be ours and have come late.
void RunningCapture::after_failed_freeze(const base::Error& error) {
  std::optional<bool> frozen;
  if (error.code() != base::ErrorCode::unavailable) frozen = domain_.frozen();
  if (!frozen) {
    thaw(false);
    return;
  }
  if (*frozen)
    freeze_note_ = "not frozen: another program had frozen the guest, and it was left so";
  unmark_frozen(place_);
  guard_.thawed();
}

bool RunningCapture::try_thaw() {
  try {
    domain_.thaw();
    unmark_frozen(place_);
    return true;
  } catch (const base::Error& error) {
    // The mark stays: abandon(), the guard or the next sync tries again.
    base::log().error("{}", error.message());
    return false;
  }
}

void RunningCapture::thaw(bool frozen) {
  bool thawed = try_thaw();
  bool in_time = guard_.thawed();
  if (!frozen) return;
  if (!in_time) {
    freeze_note_ =
        fmt::format("thawed after {} s, before the point's instant", kLongestFreeze.count());
  }
  // A guest agent that died meanwhile is started again by its system within seconds, and knows that
  // it has frozen. Reading for hours before the next attempt would leave the guest frozen.
  const auto until = std::chrono::steady_clock::now() + kThawPatience;
  while (!thawed && std::chrono::steady_clock::now() < until && domain_.running()) {
    std::this_thread::sleep_for(kThawPause);
    thawed = try_thaw();
  }
  if (!thawed && domain_.running()) {
    thaw_note_ =
        "the guest agent has not answered since it froze the guest, which may still be frozen: "
        "start the agent again, or restart the guest";
  }
}

// The instant: freeze, backup and checkpoint in one step, thaw.
BackupOutcome RunningCapture::switch_over(std::string& why) {
  std::vector<BackupDisk> disks = backup_disks();
  std::string backup = backup_xml(scratch_->socket_path(), disks);
  std::string checkpoint = tracks_any() ? checkpoint_xml(checkpoint_, disks) : "";
  freeze_note_.clear();
  std::string hooks_before = settings_.hooks ? read_hook_report(domain_) : "";
  bool frozen = freeze();
  details_.time_ms = base::now_ms();
  const uint64_t frozen_ms = base::steady_ms();
  BackupOutcome outcome = BackupOutcome::bitmap_unusable;
  try {
    outcome = domain_.begin_backup(backup, checkpoint, why);
  } catch (const base::Error& error) {
    if (frozen) thaw(true);
    explain_block_jobs(error);
    throw;
  }
  if (!frozen) return outcome;
  uint64_t begun_ms = base::steady_ms();
  thaw(true);
  details_.figures.frozen_ms = base::steady_ms() - frozen_ms;
  base::log().info("{}: backup started in {} ms, thawed in {} ms", domain_.name(),
                   begun_ms - frozen_ms, base::steady_ms() - begun_ms);
  details_.consistency =
      freeze_note_.empty() ? images::Consistency::file_system : images::Consistency::crash;
  if (settings_.hooks && freeze_note_.empty()) note_hooks(hooks_before);
  return outcome;
}

void RunningCapture::note_hooks(const std::string& before) {
  std::string complaint = hooks_complaint(before, read_hook_report(domain_));
  if (complaint.empty()) details_.consistency = images::Consistency::application;
  else freeze_note_ = complaint;
}

// libvirt refused a bitmap: the disks that its message names are read in full, or all if it names
// none. Those that QEMU's memory tracks are not concerned.
void RunningCapture::distrust(const std::string& why) {
  auto concerned = [](const CapturedDisk& disk) {
    return disk.decision.incremental && !disk.decision.checkpoint.empty();
  };
  bool named = false;
  for (CapturedDisk& disk : disks_)
    named |= concerned(disk) && why.find("'" + disk.name + "'") != why.npos;
  bool changed = false;
  for (CapturedDisk& disk : disks_) {
    if (!concerned(disk) || (named && why.find("'" + disk.name + "'") == why.npos)) continue;
    disk.decision = {false, "its record of changes is lost or broken (" + why + ")"};
    changed = true;
  }
  if (!changed) throw base::Error(base::ErrorCode::io, why);
}

std::vector<BackupDisk> RunningCapture::backup_disks() const {
  std::vector<BackupDisk> out;
  for (const DomainDisk& disk : facts_.disks) {
    auto captured = std::find_if(disks_.begin(), disks_.end(),
                                 [&](const auto& d) { return d.name == disk.name; });
    BackupDisk backup{.name = disk.name};
    if (captured != disks_.end()) {
      backup.captured = true;
      backup.scratch_path = scratch_->path(disk.name);
      if (captured->decision.incremental) backup.since = captured->decision.checkpoint;
      backup.tracked =
          can_track(disk.format) && tracking_obstacle(disk).empty() && domain_.persistent();
    }
    out.push_back(backup);
  }
  return out;
}

bool RunningCapture::tracks_any() const {
  std::vector<BackupDisk> disks = backup_disks();
  return std::any_of(disks.begin(), disks.end(),
                     [](const BackupDisk& disk) { return disk.tracked; });
}

// libvirt's block jobs are whoever began them's, and are left alone.
void RunningCapture::explain_block_jobs(const base::Error& error) const {
  for (const CapturedDisk& disk : disks_) {
    std::string job = domain_.block_job(disk.name);
    if (job.empty()) continue;
    throw base::Error(base::ErrorCode::busy,
                      fmt::format("{} of disk {} of {} is under way (virsh blockjob) and was left "
                                  "alone; sync again when it is over: {}",
                                  job, disk.name, place_.machine_name, error.message()));
  }
}

std::unique_ptr<images::DiskSource> RunningCapture::open_source(CapturedDisk& disk) {
  images::NbdOptions options;
  options.socket_path = scratch_->socket_path();
  options.export_name = disk.name;
  options.connection_count = kConnectionCount;
  bool by_checkpoint = disk.decision.incremental && !disk.decision.checkpoint.empty();
  if (by_checkpoint) options.dirty_bitmap = kExportedBitmap;
  auto content = std::make_unique<images::NbdDiskSource>(options);
  if (!disk.decision.incremental || by_checkpoint) return content;
  std::unique_ptr<images::DiskSource> map;
  try {
    map = raw_.map_of(disk.name, scratch_->socket_path());
  } catch (const base::Error& error) {
    disk.decision = {false, "its record of changes cannot be read: " + error.message()};
    return content;
  }
  return monitor::mapped_source(std::move(content), std::move(map));
}

void RunningCapture::open_sources() {
  for (CapturedDisk& disk : disks_) {
    disk.source = open_source(disk);
    if (disk.source->size() == disk.size) continue;
    throw base::Error(base::ErrorCode::busy,
                      fmt::format("disk {} was resized while the sync started", disk.name));
  }
}

void RunningCapture::describe() {
  details_.host = host_name();
  details_.definition = machine_definition(domain_.inactive_xml());
  MachineStateFiles state = read_state_files(facts_, domain_.name(), domain_.uuid(), settings_);
  details_.definition.state_files = std::move(state.files);
  std::vector<std::pair<std::string, DiskDecision>> decisions;
  for (const CapturedDisk& disk : disks_) decisions.emplace_back(disk.name, disk.decision);
  std::vector<std::string> missing = facts_.unprotected;
  missing.insert(missing.end(), state.missing.begin(), state.missing.end());
  details_.note =
      joined_note({full_read_note(decisions), freeze_note_, thaw_note_, missing_note(missing)});
}

void RunningCapture::end_reading() {
  for (CapturedDisk& disk : disks_) disk.source.reset();
  domain_.end_backup();
  scratch_.reset();
}

void RunningCapture::committed(const images::PointId& point) noexcept {
  try {
    TrackingRecord record{point, point, domain_.uuid(), checkpoint_, {}};
    for (const BackupDisk& disk : backup_disks()) {
      if (disk.tracked) record.disks.push_back(disk.name);
    }
    record.monitor = raw_.record();
    if (record.disks.empty() && !record.monitor) {
      forget_tracking(place_.state_directory, place_.machine_name);
    } else {
      save_tracking(place_.state_directory, place_.machine_name, record);
    }
    delete_other_checkpoints(domain_, checkpoint_);
    raw_.keep_new();
    guard_.finished();
    settled_ = true;
  } catch (const base::Error& error) {
    base::log().warn("the next sync of {} will read in full: {}", place_.machine_name,
                     error.message());
  }
}

void RunningCapture::abandon() noexcept {
  if (settled_) return;
  try {
    for (CapturedDisk& disk : disks_) disk.source.reset();
    scratch_.reset();
    remove_leftovers(domain_, place_);
    guard_.finished();
  } catch (const base::Error& error) {
    // Without the final message the guard tries too.
    base::log().warn("cleaning up after the sync of {}: {}", place_.machine_name, error.message());
  }
}

}  // namespace

std::unique_ptr<Capture> capture_running(const std::string& uri, const Domain& domain,
                                         const std::optional<BasePoint>& last, MachineLock lock,
                                         const CaptureSettings& settings) {
  auto capture = std::make_unique<RunningCapture>(uri, domain, std::move(lock), settings);
  capture->begin(last);
  return capture;
}

}  // namespace agent::libvirt
