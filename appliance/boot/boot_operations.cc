// The life cycle of an instant VM, and why a crash at any line leaves nothing behind:
//
//   start   boot.json says "starting" (durable, with its folder) → export → overlays → domain →
//           boot.json says "started"
//   stop    boot.json says "stopping" (durable) → domain → export → run folder → overlays →
//           boot.json
//
// So the phase in boot.json and libvirt show how far it came, and adopt() does the rest: the table
// is in boot_tending.cc.
//
// The domains of instant VMs stay defined in libvirt while they are not running (those of test
// boots do not), until their overlay is discarded.
#include "appliance/boot/boot_operations.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "appliance/boot/block_pull.h"
#include "appliance/boot/files/overlay.h"
#include "appliance/boot/files/tpm_state.h"
#include "appliance/boot/files/vm_files.h"
#include "appliance/boot/machine/domain_translation.h"
#include "appliance/boot/machine/machine_plan.h"
#include "appliance/boot/restart.h"
#include "appliance/boot/windows_look.h"
#include "base/clean_text.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/json_access.h"
#include "base/log.h"
#include "base/text.h"
#include "images/export/export_process.h"

namespace appliance::boot {
namespace {

using base::Error;
using base::ErrorCode;
using images::ExportProcess;
using Clock = std::chrono::steady_clock;

constexpr uint64_t kDomainXmlLimit = 4 << 20;
constexpr size_t kRefusalSize = 600;  // bytes

uint64_t ms_since(Clock::time_point begin) {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count());
}

std::string join_reasons(const std::vector<std::string>& reasons) {
  std::string text;
  for (const std::string& reason : reasons) text += (text.empty() ? "" : "; ") + reason;
  return text;
}

// For what would take a machine away from under its failback.
void require_no_failback(const BootRecord& record) {
  if (record.failback == 0) return;
  throw Error(ErrorCode::busy,
              fmt::format("failback {0} is bringing {1} home: see 'muletto failback show {0}', and "
                          "end it first",
                          record.failback, record.vm.machine_name));
}

void require_holder(const BootRecord& record, Holder needed) {
  if (record.holder == needed) return;
  throw Error(ErrorCode::busy,
              fmt::format("{} is not started here: {}; see 'muletto failback show {}'",
                          record.vm.machine_name,
                          record.holder == Holder::home     ? "it runs at home, or may run there"
                          : record.holder == Holder::nobody ? "it is on its way home"
                                                            : "it is not on its way home",
                          record.failback));
}

bool is_instant(const BootRecord& record) { return record.vm.purpose == Purpose::instant; }

}  // namespace

BootOperations::BootOperations(const BootSettings& settings, Hypervisor& hypervisor,
                               const BootLookup& lookup)
    : settings_(settings), hypervisor_(hypervisor), lookup_(lookup),
      traces_(settings.trace_directory) {
  make_base_folders(settings_.state_directory, settings_.run_directory);
}

AcceleratorVerdict BootOperations::accelerator() {
  std::lock_guard<std::mutex> one_trial(trial_mutex_);
  return choose_accelerator(settings_.accelerator, settings_.run_directory);
}

Preparation BootOperations::prepare(const PointSource& source, const images::PointId& point_id,
                                    const BootOptions& options, const WindowsFindings& windows) {
  return prepare_boot(source, point_id, options, settings_, windows, hypervisor_,
                      lookup_.active_vms());
}

void BootOperations::try_definition(const PointSource& source, const BootOptions& options,
                                    const AcceleratorVerdict& verdict, Preparation& prepared) {
  if (!prepared.plan.reasons.empty()) return;
  BootId id = BootId::random();
  BootPaths paths = lookup_.paths_of(id);
  BootRecord record = new_record(paths, id, source, options, settings_, prepared, verdict);
  std::string refusal =
      hypervisor_.refusal_of(domain_xml(prepared.plan, record, {paths, settings_.state_directory},
                                        firmware_for(prepared.plan, prepared.facts)));
  if (!refusal.empty()) prepared.plan.reasons.push_back(base::clean_text(refusal, kRefusalSize));
}

InstantVm BootOperations::start(const PointSource& source, const images::PointId& point_id,
                                const BootOptions& options, const StepCallback& on_step) {
  auto begin = Clock::now();
  auto step = [&](std::string_view words) {
    if (on_step) on_step(words);
  };
  std::optional<PointPins::Lease> pin;
  if (settings_.pins != nullptr) pin.emplace(settings_.pins->pin(point_id));
  step("Reading the point");
  AcceleratorVerdict verdict = accelerator();
  // Before the lock of admission: other starts need not wait for what a guest's files cost.
  WindowsFindings windows = look_into_windows(source, point_id, options, settings_);
  BootId id = BootId::random();
  auto lock = lock_of(id);
  BootPaths paths = lookup_.paths_of(id);
  BootRecord record;
  Preparation prepared;
  {
    // Memory is promised by the record: two simultaneous starts must see each other's.
    std::lock_guard<std::mutex> admission(admission_mutex_);
    prepared = prepare(source, point_id, options, windows);
    if (!prepared.plan.reasons.empty()) {
      throw Error(prepared.is_refused_for_damage ? ErrorCode::corrupt : ErrorCode::unsupported,
                  fmt::format("{} cannot be booted: {}", prepared.point.machine_name,
                              join_reasons(prepared.plan.reasons)));
    }
    record = new_record(paths, id, source, options, settings_, prepared, verdict);
    yield_timeline(record);
    make_recorded_boot_folders(paths, hypervisor_.qemu_user(), record);
  }
  try {
    bring_up(record, prepared, step);
    record.phase = Phase::started;
    record.vm.start_duration_ms = ms_since(begin);
    write_record(base::real_file_system(), paths, record);
  } catch (const Error& error) {
    undo(record, paths);
    throw error.with_context(fmt::format("{} was not started", record.vm.machine_name));
  } catch (...) {
    undo(record, paths);
    throw;
  }
  base::log().info("boot {} of {} is running after {}", id.hex(), record.vm.machine_name,
                   base::format_duration_ms(record.vm.start_duration_ms));
  return lookup_.describe(record, hypervisor_.state(record.vm.domain_name));
}

void BootOperations::stop(const BootId& id, const StopOptions& options) {
  auto lock = lock_of(id);
  BootRecord record = lookup_.open_own_record(id);
  BootPaths paths = lookup_.paths_of(id);
  require_no_failback(record);
  if (options.shutdown_timeout_s != 0) wait_for_shutdown(record, options.shutdown_timeout_s);
  record.phase = Phase::stopping;
  record.keep_overlay = options.keep_overlay;
  write_record(base::real_file_system(), paths, record);
  finish_stop(record, paths);
  base::log().info("boot {} of {} is stopped", id.hex(), record.vm.machine_name);
}

InstantVm BootOperations::change(const BootId& id, const BootChanges& changes) {
  auto lock = lock_of(id);
  std::lock_guard<std::mutex> admission(admission_mutex_);
  BootRecord record = lookup_.open_own_record(id);
  record.vm.restart = changes.restart.value_or(record.vm.restart);
  if (changes.timeline) require_no_failback(record);
  if (changes.timeline == Timeline::instant) {
    if (auto other = lookup_.other_holder(record.vm)) {
      throw Error(ErrorCode::busy, fmt::format("the instant VM {} of {} holds its timeline",
                                               other->id.hex(), record.vm.machine_name));
    }
  }
  record.vm.timeline = changes.timeline.value_or(record.vm.timeline);
  write_record(base::real_file_system(), lookup_.paths_of(id), record);
  return lookup_.describe(record, hypervisor_.state(record.vm.domain_name));
}

void BootOperations::power(const BootId& id, PowerAction action) {
  auto lock = lock_of(id);
  BootRecord record = lookup_.open_own_record(id);
  require_holder(record, Holder::here);
  const std::string& domain = record.vm.domain_name;
  bool off = hypervisor_.state(domain) == DomainState::off;
  if (off != (action == PowerAction::power_on)) {
    throw Error(ErrorCode::busy,
                fmt::format("{} {}", domain, off ? "does not run" : "runs already"));
  }
  switch (action) {
    case PowerAction::shutdown: return hypervisor_.shutdown(domain);
    case PowerAction::reset: return hypervisor_.reset(domain);
    case PowerAction::pause: return hypervisor_.pause(domain);
    case PowerAction::resume: return hypervisor_.resume(domain);
    case PowerAction::power_off: return power_off(record);
    case PowerAction::power_on: return power_on(record);
  }
}

std::unique_ptr<BlockPull> BootOperations::begin_pull(const BootId& id, uint64_t bandwidth) {
  BootRecord seen = lookup_.open_own_record(id);
  if (seen.vm.is_local) return nullptr;
  uint64_t needed = room_to_pull(seen) + kFreeDiskToResume;
  for (const VmDisk& disk : seen.vm.disks)
    needed -= std::min(needed, used_bytes(disk.overlay_path));
  uint64_t free = free_bytes(settings_.state_directory);
  if (needed > free) {
    throw Error(
        ErrorCode::no_space,
        fmt::format("moving {} to local storage may need {}, and {} are free in {}: free some "
                    "space first",
                    seen.vm.machine_name, base::format_size(needed), base::format_size(free),
                    settings_.state_directory));
  }
  auto with_record = [this, id](const std::function<void(BootRecord&, const BootPaths&)>& action) {
    auto lock = lock_of(id);
    BootRecord record = lookup_.open_own_record(id);
    action(record, lookup_.paths_of(id));
  };
  return std::make_unique<BlockPull>(hypervisor_, with_record, bandwidth);
}

// ---- start

void BootOperations::bring_up(BootRecord& record, const Preparation& prepared,
                              const StepCallback& step) {
  BootPaths paths = lookup_.paths_of(record.vm.id);
  const MachinePlan& plan = prepared.plan;
  step("Starting the export");
  start_export(record, paths, ExportUse::first_boot);
  step("Making the overlays");
  for (const VmDisk& disk : record.vm.disks) {
    make_overlay(disk.overlay_path, paths.socket_path, disk.name, disk.size,
                 is_instant(record) ? Tracking::on : Tracking::off);
  }
  if (!prepared.ntfs_partitions.empty()) {
    step("Preparing Windows");
    prepare_guest(record, prepared, paths);
  }
  const UefiFirmware* firmware = firmware_for(plan, prepared.facts);
  if (firmware != nullptr) make_uefi_variables(paths, plan, *firmware);
  if (!plan.tpm_state.empty()) install_tpm_state(record.tpm_folder, plan.tpm_state);
  std::string xml = domain_xml(plan, record, {paths, settings_.state_directory}, firmware);
  base::write_file_durably(base::real_file_system(), paths.domain_path, base::as_bytes(xml));
  if (is_instant(record)) define_tracked(hypervisor_, record, xml, Overlays::fresh);
  step("Starting QEMU");
  run_domain(record, paths, xml, GuestStart::running);
}

void BootOperations::run_domain(BootRecord& record, const BootPaths& paths, const std::string& xml,
                                GuestStart how) {
  // What counts is what is on the disk, whatever the caller holds.
  Holder needed = how == GuestStart::running ? Holder::here : Holder::nobody;
  require_holder(read_record(base::real_file_system(), paths), needed);
  for (const VmNetworkCard& card : record.vm.network_cards) {
    if (card.mode != NetworkMode::bridge) hypervisor_.ensure_network({card.source, card.mode});
  }
  if (how == GuestStart::running) hypervisor_.start(xml);
  else hypervisor_.start_paused(xml);
  if (record.vm.is_local) return;
  std::vector<BackingExport> exports;
  for (const VmDisk& disk : record.vm.disks) {
    exports.push_back(
        {disk.name, paths.socket_path, disk.name, settings_.export_reconnect_delay_s});
  }
  try {
    hypervisor_.enable_reconnect(record.vm.domain_name, exports);
  } catch (const Error& error) {
    // The VM runs anyway: if its export dies, it pauses until tend() resumes it.
    base::log().warn("boot {}: {}", record.vm.id.hex(), error.message());
  }
}

void BootOperations::start_export(const BootRecord& record, const BootPaths& paths, ExportUse use) {
  images::ExportOptions options;
  options.store = record.vm.store;
  options.point = record.vm.point.hex();
  for (const VmDisk& disk : record.vm.disks) options.disks.push_back(disk.name);
  options.socket_path = paths.socket_path;
  options.socket_owner = hypervisor_.qemu_user().user;
  options.log_path = paths.log_path;
  options.plugin_path = settings_.plugin_path;
  options.plugin_command = settings_.export_command;
  options.thread_count = settings_.export_thread_count;
  options.cache_size = settings_.export_cache_size;
  options.disk_cache_size = settings_.export_disk_cache_size;
  options.cache_directory = paths.folder;
  if (use == ExportUse::first_boot && !settings_.trace_directory.empty())
    options.record_trace_path = paths.trace_path;
  if (use != ExportUse::running) options.prefetch_trace_path = traces_.find(record.trace_key);
  options.lifetime = base::Lifetime::independent;
  ExportProcess::start(options);
}

// Called by an operator, who thereby says that all earlier problems are solved.
void BootOperations::power_on(BootRecord& record) {
  std::vector<std::string> conflicts = conflicts_of(record, lookup_.active_vms(), hypervisor_);
  if (!conflicts.empty()) throw Error(ErrorCode::busy, join_reasons(conflicts));
  BootPaths paths = lookup_.paths_of(record.vm.id);
  BootRecord before = record;
  record.phase = Phase::started;
  record.problem.clear();
  record.failed_restarts = 0;
  record.vm.is_pulling = false;
  if (before.phase == Phase::kept) yield_timeline(record);
  try {
    start_again(record, paths);
  } catch (const Error&) {
    if (hypervisor_.state(record.vm.domain_name) == DomainState::off)
      write_record(base::real_file_system(), paths, before);
    throw;
  }
}

void BootOperations::power_off(BootRecord& record) {
  BootRecord before = record;
  record.phase = Phase::ended;  // durable before the end, so that it is not restarted
  write_record(base::real_file_system(), lookup_.paths_of(record.vm.id), record);
  try {
    hypervisor_.destroy(record.vm.domain_name);
  } catch (const Error&) {
    write_record(base::real_file_system(), lookup_.paths_of(record.vm.id), before);
    throw;
  }
}

void BootOperations::start_again(BootRecord& record, const BootPaths& paths, GuestStart how) {
  require_holder(record, how == GuestStart::running ? Holder::here : Holder::nobody);
  std::lock_guard<std::mutex> admission(admission_mutex_);
  uint64_t room = free_memory(hypervisor_.facts(), lookup_.promised_memory());
  if (record.vm.memory_size > room) {
    throw Error(ErrorCode::unavailable,
                fmt::format("it needs {} of memory, {} are free",
                            base::format_size(record.vm.memory_size), base::format_size(room)));
  }
  make_boot_folders(paths, hypervisor_.qemu_user());
  for (const VmDisk& disk : record.vm.disks) repair_overlay(disk.overlay_path);
  std::string xml(
      base::as_text(base::read_file(base::real_file_system(), paths.domain_path, kDomainXmlLimit)));
  if (!record.vm.is_local && !ExportProcess::find(paths.socket_path))
    start_export(record, paths, ExportUse::reboot);
  if (is_instant(record)) define_tracked(hypervisor_, record, xml, Overlays::used);
  write_record(base::real_file_system(), paths, record);
  run_domain(record, paths, xml, how);
}

// One machine, one truth: if another VM holds the machine's timeline, this one does not.
void BootOperations::yield_timeline(BootRecord& record) {
  if (record.vm.timeline != Timeline::instant) return;
  auto other = lookup_.other_holder(record.vm);
  if (!other) return;
  record.vm.timeline = Timeline::production;
  record.vm.notes.push_back(fmt::format(
      "It is not protected: the instant VM {} holds the machine's timeline.", other->id.hex()));
}

// ---- stop

void BootOperations::wait_for_shutdown(const BootRecord& record, uint32_t timeout_s) {
  auto deadline = Clock::now() + std::chrono::seconds(timeout_s);
  const std::string& domain = record.vm.domain_name;
  try {
    if (hypervisor_.state(domain) != DomainState::off) hypervisor_.shutdown(domain);
    while (hypervisor_.state(domain) != DomainState::off && Clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
  } catch (const Error& error) {
    base::log().warn("{} did not shut down by itself: {}", domain, error.message());
  }
}

void BootOperations::finish_stop(BootRecord& record, const BootPaths& paths) {
  hypervisor_.destroy(record.vm.domain_name);
  end_export(paths);
  remove_unused_networks(record);
  traces_.take(record.trace_key, paths.trace_path);
  if (!record.keep_overlay) {
    hypervisor_.undefine(record.vm.domain_name);
    if (!record.tpm_folder.empty()) remove_tpm_folder(record.tpm_folder);
    remove_boot_folders(paths);
    return;
  }
  remove_run_folder(paths);
  record.phase = Phase::kept;
  write_record(base::real_file_system(), paths, record);
}

// Isolated networks are created for a recovery, and removed with its last VM.
void BootOperations::remove_unused_networks(const BootRecord& record) {
  std::lock_guard<std::mutex> admission(admission_mutex_);  // no VM joins one meanwhile
  for (const VmNetworkCard& card : record.vm.network_cards) {
    if (card.mode != NetworkMode::isolated) continue;
    bool used = false;
    for (const InstantVm& vm : lookup_.active_vms()) {
      for (const VmNetworkCard& other : vm.network_cards)
        used |= vm.id != record.vm.id && other.source == card.source;
    }
    try {
      if (!used) hypervisor_.remove_network(card.source);
    } catch (const Error& error) {
      base::log().warn("{}", error.message());  // it costs a subnet until the next VM ends there
    }
  }
}

void BootOperations::end_export(const BootPaths& paths) {
  if (auto process = ExportProcess::find(paths.socket_path)) process->stop();
}

void BootOperations::undo(BootRecord& record, const BootPaths& paths) {
  try {
    record.keep_overlay = false;
    finish_stop(record, paths);
  } catch (const Error& error) {
    base::log().error("boot {} could not be cleaned up: {}", record.vm.id.hex(), error.message());
  }
}

// ---- locks

std::mutex& BootOperations::mutex_of(const BootId& id) {
  auto mutexes = mutexes_.lock();
  std::unique_ptr<std::mutex>& mutex = (*mutexes)[id];
  if (!mutex) mutex = std::make_unique<std::mutex>();
  return *mutex;
}

std::unique_lock<std::mutex> BootOperations::lock_of(const BootId& id) {
  return std::unique_lock<std::mutex>(mutex_of(id));
}

std::unique_lock<std::mutex> BootOperations::try_lock_of(const BootId& id) {
  return std::unique_lock<std::mutex>(mutex_of(id), std::try_to_lock);
}

}  // namespace appliance::boot
