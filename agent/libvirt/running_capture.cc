// The order of steps, and what happens if the agent dies between any two of them:
//
//   guard starts          → nothing to do
//   scratch files made    → the guard removes them
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
#include <pwd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <thread>

#include "agent/domain_xml.h"
#include "agent/host_name.h"
#include "agent/libvirt/backup_xml.h"
#include "agent/libvirt/hook_report.h"
#include "agent/libvirt/leftovers.h"
#include "agent/libvirt/sync_guard.h"
#include "agent/machine_state_files.h"
#include "agent/state_layout.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/log.h"
#include "base/scratch_directory.h"
#include "base/subprocess.h"
#include "base/text.h"
#include "images/sources/image_headers.h"
#include "images/sources/nbd_disk_source.h"

namespace agent::libvirt {
namespace {

// A full scratch disk makes QEMU fail the guest's writes: the sync is abandoned before that.
constexpr uint64_t kScratchReserve = 256u << 20;
constexpr uint64_t kStatBlock = 512;
constexpr uint32_t kConnectionCount = 4;
// How long a guest agent that froze the guest and died may take to come back.
constexpr auto kThawPatience = std::chrono::seconds(60);
constexpr auto kThawPause = std::chrono::seconds(1);

// Gives a folder or file to QEMU's user, who creates the socket and writes the scratch files.
// `label` is the domain's DAC label, "+UID:+GID".
void give_to_qemu(const std::string& path, const std::string& label) {
  uid_t user = 0;
  gid_t group = 0;
  std::string_view text(label);
  size_t colon = text.find(':');
  if (!text.starts_with('+') || colon == std::string_view::npos || colon + 2 > text.size()) return;
  std::from_chars(text.data() + 1, text.data() + colon, user);
  std::from_chars(text.data() + colon + 2, text.data() + text.size(), group);
  if (::chown(path.c_str(), user, group) != 0)
    throw base::system_error(errno, "cannot give " + path + " to QEMU");
}

uint64_t free_size(const std::string& directory) {
  struct statvfs status;
  if (::statvfs(directory.c_str(), &status) != 0)
    throw base::system_error(errno, "cannot examine " + directory);
  return uint64_t{status.f_bavail} * status.f_frsize;
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
        guard_(uri, domain, place_, lock_.fd()) {}

  ~RunningCapture() override { abandon(); }

  void begin(const std::optional<LastPoint>& last);

  const std::vector<CapturedDisk>& disks() const override { return disks_; }
  const images::PointDetails& details() const override { return details_; }
  void check() override;
  void end_reading() override;
  void committed(const images::PointId& point) noexcept override;

 private:
  void decide_all(const std::optional<LastPoint>& last);
  void prepare_folders();
  void make_scratch_files();
  void check_room() const;
  void note_hooks(const std::string& before);
  bool freeze();
  void after_failed_freeze(const base::Error& error);
  bool try_thaw();
  void thaw(bool frozen);
  BackupOutcome switch_over(std::string& why);
  void distrust(const std::string& why);
  std::vector<BackupDisk> backup_disks() const;
  void open_sources();
  void describe();
  void abandon() noexcept;
  bool tracks_any() const;
  std::string socket_path() const { return run_->path() + "/nbd.sock"; }
  std::string scratch_path(const std::string& disk) const {
    return scratch_->path() + "/" + disk + ".qcow2";
  }

  Domain domain_;
  CaptureSettings settings_;
  SyncPlace place_;
  MachineLock lock_;
  DomainFacts facts_;
  std::string checkpoint_;  // the new one
  SyncGuard guard_;
  std::optional<base::ScratchDirectory> run_;
  std::optional<base::ScratchDirectory> scratch_;
  std::vector<CapturedDisk> disks_;
  images::PointDetails details_;
  std::string freeze_note_;
  std::string thaw_note_;  // the guest may still be frozen
  bool settled_ = false;   // nothing left to undo
};

void RunningCapture::begin(const std::optional<LastPoint>& last) {
  decide_all(last);
  prepare_folders();
  check_room();
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
void RunningCapture::decide_all(const std::optional<LastPoint>& last) {
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
  for (const DomainDisk& disk : facts_.disks) {
    if (std::find(wanted.begin(), wanted.end(), disk.name) == wanted.end()) {
      facts_.unprotected.push_back(disk.name + " (excluded)");
      continue;
    }
    uint64_t size = domain_.disk_size(disk.name);
    TrackedDisk tracked{disk.name, disk.format, size, tracking_obstacle(disk)};
    disks_.push_back({disk.name, size, decide(evidence, tracked), nullptr});
  }
}

void RunningCapture::prepare_folders() {
  std::string prefix = machine_file_name(place_.machine_name);
  run_.emplace(place_.run_directory, prefix);
  scratch_.emplace(scratch_parent(place_.state_directory), prefix);
  give_to_qemu(run_->path(), facts_.owner_label);
  give_to_qemu(scratch_->path(), facts_.owner_label);
}

void RunningCapture::make_scratch_files() {
  for (const CapturedDisk& disk : disks_) {
    std::string path = scratch_path(disk.name);
    base::run_checked({"qemu-img", "create", "-q", "-f", "qcow2", path, std::to_string(disk.size)});
    give_to_qemu(path, facts_.owner_label);
  }
}

void RunningCapture::check_room() const {
  uint64_t used = 0;
  struct stat status;
  for (const CapturedDisk& disk : disks_) {
    if (::stat(scratch_path(disk.name).c_str(), &status) == 0)
      used += static_cast<uint64_t>(status.st_blocks) * kStatBlock;
  }
  if (settings_.scratch_limit != 0 && used > settings_.scratch_limit) {
    throw base::Error(
        base::ErrorCode::no_space,
        fmt::format("the guest overwrote more than scratch_limit ({}) before its disks were "
                    "read: this sync of {} was abandoned; the guest is not affected",
                    base::format_size(settings_.scratch_limit), place_.machine_name));
  }
  uint64_t room = free_size(scratch_->path());
  if (room >= kScratchReserve) return;
  throw base::Error(
      base::ErrorCode::no_space,
      fmt::format("only {} are free in {} for blocks the guest overwrites during a sync; {} "
                  "must stay free",
                  base::format_size(room), scratch_parent(place_.state_directory),
                  base::format_size(kScratchReserve)));
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
    check_room();
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
  std::string backup = backup_xml(socket_path(), disks);
  std::string checkpoint = tracks_any() ? checkpoint_xml(checkpoint_, disks) : "";
  freeze_note_.clear();
  std::string hooks_before = settings_.hooks ? read_hook_report(domain_) : "";
  bool frozen = freeze();
  details_.time_ms = base::now_ms();
  const uint64_t frozen_ms = base::steady_ms();
  BackupOutcome outcome = BackupOutcome::bitmap_unusable;
  try {
    outcome = domain_.begin_backup(backup, checkpoint, why);
  } catch (...) {
    if (frozen) thaw(true);
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
// none.
void RunningCapture::distrust(const std::string& why) {
  bool named = false;
  for (CapturedDisk& disk : disks_)
    named |= disk.decision.incremental && why.find("'" + disk.name + "'") != why.npos;
  bool changed = false;
  for (CapturedDisk& disk : disks_) {
    if (!disk.decision.incremental || (named && why.find("'" + disk.name + "'") == why.npos))
      continue;
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
      backup.scratch_path = scratch_path(disk.name);
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

void RunningCapture::open_sources() {
  for (CapturedDisk& disk : disks_) {
    images::NbdOptions options;
    options.socket_path = socket_path();
    options.export_name = disk.name;
    if (disk.decision.incremental) options.dirty_bitmap = kExportedBitmap;
    options.connection_count = kConnectionCount;
    disk.source = std::make_unique<images::NbdDiskSource>(options);
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
  run_.reset();
}

void RunningCapture::committed(const images::PointId& point) noexcept {
  try {
    TrackingRecord record{point, point, domain_.uuid(), checkpoint_, {}};
    for (const BackupDisk& disk : backup_disks()) {
      if (disk.tracked) record.disks.push_back(disk.name);
    }
    if (record.disks.empty()) {
      forget_tracking(place_.state_directory, place_.machine_name);
    } else {
      save_tracking(place_.state_directory, place_.machine_name, record);
    }
    delete_other_checkpoints(domain_, checkpoint_);
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
    run_.reset();
    remove_leftovers(domain_, place_);
    guard_.finished();
  } catch (const base::Error& error) {
    // Without the final message the guard tries too.
    base::log().warn("cleaning up after the sync of {}: {}", place_.machine_name, error.message());
  }
}

}  // namespace

std::unique_ptr<Capture> capture_running(const std::string& uri, const Domain& domain,
                                         const std::optional<LastPoint>& last, MachineLock lock,
                                         const CaptureSettings& settings) {
  auto capture = std::make_unique<RunningCapture>(uri, domain, std::move(lock), settings);
  capture->begin(last);
  return capture;
}

}  // namespace agent::libvirt
