// The order of steps, and what is left if the agent dies after each:
//
//   guard starts              → nothing to do
//   server, scratch files     → the guard stops the server, closes and removes the files
//   new bitmaps               → the guard removes them
//   freeze                    → the guard thaws
//   transaction (the instant) → the guard ends the jobs, as above
//   thaw, copy                → the same
//   commit of the point       → the record still names the old bitmaps and the old point, so the next
//                               sync reads in full
//   the record is saved       → the guard removes the old bitmaps
#include "agent/monitor/monitor_capture.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <map>
#include <thread>

#include "agent/host_name.h"
#include "agent/monitor/monitored_facts.h"
#include "agent/monitor/qemu_backup.h"
#include "agent/monitor/qmp_socket.h"
#include "agent/monitor/raw_tracking.h"
#include "agent/monitor/swtpm_state.h"
#include "agent/scratch_space.h"
#include "agent/sync_guard.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json_access.h"
#include "base/log.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "images/sources/nbd_disk_source.h"

namespace agent::monitor {
namespace {

constexpr uint32_t kConnectionCount = 4;
constexpr uint64_t kMaxVariables = 16u << 20;  // bytes
constexpr auto kThawPatience = std::chrono::seconds(60);
constexpr auto kThawPause = std::chrono::seconds(1);
constexpr char kVariables[] = "uefi-variables";  // among the names of disks; no disk is called so

// Its descriptor is readable once the process has ended.
base::UniqueFd open_process(pid_t pid) {
  base::UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (process.get() < 0) throw base::system_error(errno, "cannot watch the machine's QEMU");
  return process;
}

class MonitorCapture : public Capture {
 public:
  MonitorCapture(const MonitoredMachine& machine, MachineLock lock, const CaptureSettings& settings)
      : machine_(machine),
        settings_(settings), place_{settings.machine_name, settings.state_directory,
                                    settings.run_directory},
        lock_(std::move(lock)), guard_(guard_words(machine, place_), lock_.fd()) {}

  ~MonitorCapture() override { abandon(); }

  void begin(const std::optional<BasePoint>& last);

  const std::vector<CapturedDisk>& disks() const override { return disks_; }
  const images::PointDetails& details() const override { return details_; }
  void check() override;
  void end_reading() override;
  void committed(const images::PointId& point) noexcept override;

 private:
  void decide_all(const std::optional<BasePoint>& last, QmpSocket& monitor);
  void make_scratch_files();
  void prepare(QmpSocket& monitor);
  void switch_over(QmpSocket& monitor);
  bool freeze(QmpSocket& monitor, std::optional<GuestAgentSocket>& agent);
  void thaw(GuestAgentSocket& agent);
  void thaw_later();
  void offer(QmpSocket& monitor);
  void open_sources();
  void read_variables();
  void read_tpm();
  void describe();
  void abandon() noexcept;

  MonitoredMachine machine_;
  CaptureSettings settings_;
  SyncPlace place_;
  MachineLock lock_;
  SyncGuard guard_;
  base::UniqueFd process_;  // QEMU
  MonitoredFacts facts_;
  std::string uuid_;
  std::optional<RawTracking> tracking_;
  std::optional<ScratchSpace> scratch_;
  std::vector<BackupDisk> backup_;
  std::map<std::string, std::string> maps_;  // disk: the bitmap of what changed
  std::vector<CapturedDisk> disks_;
  images::PointDetails details_;
  std::string freeze_note_;
  std::string thaw_note_;      // the guest may still be frozen
  bool still_frozen_ = false;  // the thaw after the instant failed
  bool begun_ = false;         // there may be something to undo
  bool settled_ = false;       // there is nothing left to undo
};

void MonitorCapture::begin(const std::optional<BasePoint>& last) {
  FileOwner owner;
  {
    QmpSocket monitor(machine_.socket);
    process_ = open_process(monitor.pid());
    remove_leftovers(machine_, place_, monitor);
    check_idle(monitor, place_.machine_name);
    tracking_.emplace(monitor);
    decide_all(last, monitor);
    owner = {monitor.uid(), monitor.gid()};
  }
  scratch_.emplace(place_, owner, settings_.scratch_limit);
  make_scratch_files();  // takes its time, and the monitor is free meanwhile
  {
    QmpSocket monitor(machine_.socket);
    tracking_->use(monitor);
    check_idle(monitor, place_.machine_name);
    begun_ = true;
    prepare(monitor);
    switch_over(monitor);
    offer(monitor);
  }
  thaw_later();
  open_sources();
  read_variables();
  read_tpm();
  describe();
}

void MonitorCapture::decide_all(const std::optional<BasePoint>& last, QmpSocket& monitor) {
  facts_ = read_facts(monitor, machine_.definition);
  uuid_ = base::find_text(monitor.execute("query-uuid"), "UUID").value_or("");
  std::vector<DiskLabel> labels;
  for (const MonitoredDisk& disk : facts_.disks) labels.push_back({disk.name, disk.device.file});
  std::vector<std::string> wanted = wanted_disks(labels, settings_);
  TrackingEvidence evidence{.full_wanted = settings_.full, .last = last};
  evidence.record = load_tracking(place_.state_directory, place_.machine_name);
  evidence.domain_uuid = uuid_;
  std::vector<MonitoredDisk> captured;
  std::vector<RawDisk> raw;
  for (const MonitoredDisk& disk : facts_.disks) {
    if (std::find(wanted.begin(), wanted.end(), disk.name) == wanted.end()) {
      facts_.unprotected.push_back(disk.name + " (excluded)");
      continue;
    }
    captured.push_back(disk);
    raw.push_back({disk.name, disk.device.node, disk.device.file});
  }
  evidence.monitor_obstacles =
      tracking_->examine(raw, evidence.record ? evidence.record->monitor : std::nullopt);
  for (const MonitoredDisk& disk : captured) {
    TrackedDisk tracked{disk.name, disk.device.format, disk.device.size, "", true};
    disks_.push_back({disk.name, disk.device.size, decide(evidence, tracked), nullptr});
  }
  for (const MonitoredDisk& disk : captured) backup_.push_back({disk.name, disk.device.node, ""});
  if (facts_.variables) backup_.push_back({kVariables, facts_.variables->node, ""});
}

void MonitorCapture::make_scratch_files() {
  for (BackupDisk& disk : backup_) {
    auto captured = std::find_if(disks_.begin(), disks_.end(),
                                 [&](const CapturedDisk& each) { return each.name == disk.name; });
    uint64_t size = captured == disks_.end() ? facts_.variables->size : captured->size;
    scratch_->make(disk.name, size);
    disk.scratch_path = scratch_->path(disk.name);
  }
}

// Everything that need not be at the instant.
void MonitorCapture::prepare(QmpSocket& monitor) {
  mark_server(place_);
  try {
    start_server(monitor, scratch_->socket_path());
  } catch (const base::Error&) {
    unmark_server(place_);  // it is another program's, and must not be stopped
    throw;
  }
  for (const BackupDisk& disk : backup_) add_scratch(monitor, disk);
  mark_bitmaps(place_);
  tracking_->begin();
}

// True if the guest's file systems are frozen now. Being unable to freeze does not fail the sync.
bool MonitorCapture::freeze(QmpSocket& monitor, std::optional<GuestAgentSocket>& agent) {
  if (!settings_.freeze) return false;
  bool runs = base::find_flag(monitor.execute("query-status"), "running").value_or(false);
  if (!runs || machine_.guest_agent.empty()) {
    freeze_note_ = runs ? "not frozen: the settings name no guest agent's socket"
                        : "not frozen: the machine is paused";
    return false;
  }
  try {
    agent.emplace(machine_.guest_agent);
    if (agent->frozen()) {
      freeze_note_ = "not frozen: another program had frozen the guest, and it was left so";
      return false;
    }
  } catch (const base::Error& error) {
    freeze_note_ = "not frozen: " + error.message();
    return false;
  }
  mark_frozen(place_);
  guard_.about_to_freeze();
  try {
    agent->freeze();
    return true;
  } catch (const base::Error& error) {
    freeze_note_ = "not frozen: " + error.message();
    base::log().warn("{}", error.message());
    thaw(*agent);
    return false;
  }
}

void MonitorCapture::thaw(GuestAgentSocket& agent) {
  try {
    agent.thaw();
    unmark_frozen(place_);
  } catch (const base::Error& error) {
    // The mark stays: thaw_later(), abandon(), the guard or the next sync tries again.
    still_frozen_ = true;
    base::log().error("{}", error.message());
  }
  if (guard_.thawed() || !freeze_note_.empty()) return;
  freeze_note_ =
      fmt::format("thawed after {} s, before the point's instant", kLongestFreeze.count());
}

// A guest agent that died meanwhile is started again by its system within seconds, and knows that it
// has frozen. Reading for hours before the next attempt would leave the guest frozen. The monitor is
// free meanwhile.
void MonitorCapture::thaw_later() {
  const auto until = std::chrono::steady_clock::now() + kThawPatience;
  while (still_frozen_ && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(kThawPause);
    try {
      GuestAgentSocket(machine_.guest_agent).thaw();
      unmark_frozen(place_);
      still_frozen_ = false;
    } catch (const base::Error& error) {
      base::log().debug("{}", error.message());
    }
  }
  if (!still_frozen_) return;
  thaw_note_ =
      "the guest agent has not answered since it froze the guest, which may still be frozen: "
      "start the agent again, or restart the guest";
}

// The instant: freeze, one transaction, thaw.
void MonitorCapture::switch_over(QmpSocket& monitor) {
  std::optional<GuestAgentSocket> agent;
  bool frozen = freeze(monitor, agent);
  details_.time_ms = base::now_ms();
  const uint64_t begin_ms = base::steady_ms();
  try {
    begin_backup(monitor, backup_);
  } catch (...) {
    if (frozen) thaw(*agent);
    throw;
  }
  if (!frozen) return;
  thaw(*agent);
  details_.figures.frozen_ms = base::steady_ms() - begin_ms;
  if (freeze_note_.empty()) details_.consistency = images::Consistency::file_system;
}

// After the instant, since the copies of the old bitmaps must hold everything before it.
void MonitorCapture::offer(QmpSocket& monitor) {
  for (CapturedDisk& disk : disks_) {
    std::string bitmap;
    if (disk.decision.incremental) {
      try {
        bitmap = tracking_->copy_of_changes(disk.name);
        maps_[disk.name] = bitmap;
      } catch (const base::Error& error) {
        disk.decision = {false, "its record of changes cannot be read: " + error.message()};
      }
    }
    export_node(monitor, instant_node(disk.name), kOwnName + disk.name, bitmap);
  }
  if (facts_.variables)
    export_node(monitor, instant_node(kVariables), std::string(kOwnName) + kVariables, "");
}

void MonitorCapture::open_sources() {
  for (CapturedDisk& disk : disks_) {
    images::NbdOptions options;
    options.socket_path = scratch_->socket_path();
    options.export_name = kOwnName + disk.name;
    auto map = maps_.find(disk.name);
    if (map != maps_.end()) options.dirty_bitmap = map->second;
    options.connection_count = kConnectionCount;
    disk.source = std::make_unique<images::NbdDiskSource>(options);
    if (disk.source->size() == disk.size) continue;
    throw base::Error(base::ErrorCode::busy,
                      fmt::format("disk {} was resized while the sync started", disk.name));
  }
}

// Without them the disks alone are worth keeping.
void MonitorCapture::read_variables() {
  if (!facts_.variables) return;
  try {
    images::NbdOptions options;
    options.socket_path = scratch_->socket_path();
    options.export_name = std::string(kOwnName) + kVariables;
    options.connection_count = 1;
    images::NbdDiskSource source(options);
    uint64_t size =
        facts_.variables_size == 0 ? source.size() : std::min(source.size(), facts_.variables_size);
    if (size > kMaxVariables)
      throw base::Error(base::ErrorCode::unsupported, "they are larger than such variables can be");
    base::Bytes content(size);
    source.read(0, content);
    details_.definition.state_files.emplace_back("nvram", std::move(content));
  } catch (const base::Error& error) {
    facts_.unprotected.push_back(fmt::format("UEFI variables ({})", error.message()));
  }
}

void MonitorCapture::read_tpm() {
  if (!facts_.has_tpm) return;
  try {
    if (machine_.tpm_state.empty())
      throw base::Error(base::ErrorCode::not_found, "the settings have no tpm_state");
    details_.definition.state_files.emplace_back("tpm", read_permanent_state(machine_.tpm_state));
  } catch (const base::Error& error) {
    facts_.unprotected.push_back(fmt::format("TPM's contents ({})", error.message()));
  }
}

void MonitorCapture::describe() {
  details_.host = host_name();
  auto state_files = std::move(details_.definition.state_files);
  details_.definition = facts_.definition;
  details_.definition.state_files = std::move(state_files);
  std::vector<std::pair<std::string, DiskDecision>> decisions;
  for (const CapturedDisk& disk : disks_) decisions.emplace_back(disk.name, disk.decision);
  details_.note = joined_note(
      {full_read_note(decisions), freeze_note_, thaw_note_, missing_note(facts_.unprotected)});
}

void MonitorCapture::check() {
  pollfd ended{process_.get(), POLLIN, 0};
  if (::poll(&ended, 1, 0) > 0) {
    throw base::Error(base::ErrorCode::busy,
                      fmt::format("machine {} was switched off during the sync; nothing was saved",
                                  place_.machine_name));
  }
  try {
    scratch_->check();
  } catch (const base::Error&) {
    QmpSocket monitor(machine_.socket);
    end_backup(monitor, true);
    throw;
  }
}

void MonitorCapture::end_reading() {
  for (CapturedDisk& disk : disks_) disk.source.reset();
  {
    QmpSocket monitor(machine_.socket);
    end_backup(monitor, true);
  }
  unmark_server(place_);
  scratch_.reset();
}

void MonitorCapture::committed(const images::PointId& point) noexcept {
  try {
    TrackingRecord record{point, point, uuid_, "", {}, tracking_->record()};
    save_tracking(place_.state_directory, place_.machine_name, record);
    QmpSocket monitor(machine_.socket);
    tracking_->use(monitor);
    tracking_->keep_new();
    guard_.finished();
    settled_ = true;
  } catch (const base::Error& error) {
    base::log().warn("after the sync of {}: {}", place_.machine_name, error.message());
  }
}

void MonitorCapture::abandon() noexcept {
  if (settled_) return;
  try {
    for (CapturedDisk& disk : disks_) disk.source.reset();
    if (!begun_) return guard_.finished();
    QmpSocket monitor(machine_.socket);
    remove_leftovers(machine_, place_, monitor);
    scratch_.reset();
    guard_.finished();
  } catch (const base::Error& error) {
    // Without the final message the guard tries too.
    base::log().warn("cleaning up after the sync of {}: {}", place_.machine_name, error.message());
  }
}

}  // namespace

std::unique_ptr<Capture> capture_monitored(const MonitoredMachine& machine,
                                           const std::optional<BasePoint>& last, MachineLock lock,
                                           const CaptureSettings& settings) {
  try {
    LineSocket probe(machine.socket);
  } catch (const base::Error& error) {
    throw base::Error(base::ErrorCode::not_found,
                      fmt::format("no QEMU listens at {}: machine {} is switched off, which this "
                                  "host's agent cannot capture, or the settings name another "
                                  "socket ({})",
                                  machine.socket, settings.machine_name, error.message()));
  }
  auto capture = std::make_unique<MonitorCapture>(machine, std::move(lock), settings);
  capture->begin(last);
  return capture;
}

}  // namespace agent::monitor
