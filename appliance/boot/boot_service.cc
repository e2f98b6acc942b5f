// The life of an instant VM, and why a crash at any line leaves nothing behind:
//
//   start   boot.json says "starting" (durable) → export → overlays → domain → boot.json says
//   "started" stop    boot.json says "stopping" (durable) → domain → export → run folder → overlays
//   → boot.json
//
// adopt() decides by two facts, the phase in boot.json and whether libvirt runs a domain with that
// boot id:
//
//   phase      domain runs          no domain
//   starting   it is started        clean away
//   started    take up              the guest has ended, or was cut off: restart.h
//   stopping   finish the stop      finish the stop
//   kept       –                    end the export, keep the overlay
//   ended      –                    the same
//
// Instant VMs are domains that libvirt knows also while they do not run (test boots are not), and
// stay so until their overlay is discarded.
//
// A run folder without a state folder is the rest of a stop, or of a start cut off before
// boot.json.
#include "appliance/boot/boot_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "appliance/boot/boot_preparation.h"
#include "appliance/boot/boot_record.h"
#include "appliance/boot/domain_translation.h"
#include "appliance/boot/machine_plan.h"
#include "appliance/boot/overlay.h"
#include "appliance/boot/restart.h"
#include "appliance/boot/tpm_state.h"
#include "appliance/boot/trace_shelf.h"
#include "appliance/boot/vm_files.h"
#include "base/error.h"
#include "base/guarded.h"
#include "base/log.h"
#include "base/text.h"
#include "images/export_process.h"
#include "images/trace_recorder.h"

namespace appliance::boot {
namespace {

using base::Error;
using base::ErrorCode;
using images::ExportProcess;
using Clock = std::chrono::steady_clock;

constexpr uint64_t kFreeDiskToResume = 256ull << 20;
constexpr auto kResumeInterval = std::chrono::seconds(5);
constexpr uint64_t kDomainXmlLimit = 4 << 20;

uint64_t ms_since(Clock::time_point begin) {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count());
}

std::string join_reasons(const std::vector<std::string>& reasons) {
  std::string text;
  for (const std::string& reason : reasons) text += (text.empty() ? "" : "; ") + reason;
  return text;
}

// What an export is started for.
enum class ExportUse {
  first_boot,  // reads ahead, and records
  reboot,      // reads ahead; what was rewritten is in the overlay, so it is no record
  running,     // the guest runs already
};

VmState state_of(Phase phase, DomainState domain) {
  switch (domain) {
    case DomainState::running:
    case DomainState::shutting_down:
      return phase == Phase::starting ? VmState::starting : VmState::running;
    case DomainState::paused:
    case DomainState::paused_by_io_error: return VmState::paused;
    case DomainState::off: break;
  }
  if (phase == Phase::starting) return VmState::starting;
  return phase == Phase::kept ? VmState::kept : VmState::ended;
}

}  // namespace

class BootService::Implementation {
 public:
  Implementation(BootSettings settings, Hypervisor& hypervisor)
      : settings_(std::move(settings)), hypervisor_(hypervisor),
        traces_(settings_.trace_directory) {
    make_base_folders(settings_.state_directory, settings_.run_directory);
  }

  AcceleratorVerdict accelerator() {
    std::lock_guard<std::mutex> one_trial(trial_mutex_);
    return choose_accelerator(settings_.accelerator, settings_.run_directory);
  }

  Preparation prepare(const PointSource& source, const images::PointId& point_id,
                      const BootOptions& options) {
    return prepare_boot(source, point_id, options, settings_, hypervisor_, active_vms());
  }

  InstantVm start(const PointSource& source, const images::PointId& point_id,
                  const BootOptions& options, const StepCallback& on_step) {
    auto begin = Clock::now();
    auto step = [&](std::string_view words) {
      if (on_step) on_step(words);
    };
    step("Reading the point");
    AcceleratorVerdict verdict = accelerator();
    BootId id = BootId::random();
    auto lock = lock_of(id);
    BootPlaces places = places_of(id);
    BootRecord record;
    Preparation prepared;
    {
      // Memory is promised by the record: two starts at once must see each other's.
      std::lock_guard<std::mutex> admission(admission_mutex_);
      prepared = prepare(source, point_id, options);
      if (!prepared.plan.reasons.empty()) {
        throw Error(ErrorCode::unsupported,
                    fmt::format("{} cannot be booted: {}", prepared.point.machine_name,
                                join_reasons(prepared.plan.reasons)));
      }
      record = new_record(places, id, source, options, settings_, prepared, verdict);
      yield_timeline(record);
      write_first_record(places, record);
    }
    try {
      bring_up(record, prepared, step);
      record.phase = Phase::started;
      record.vm.start_duration_ms = ms_since(begin);
      write_record(base::real_file_system(), places, record);
    } catch (const Error& error) {
      undo(record, places);
      throw error.with_context(fmt::format("{} was not started", record.vm.machine_name));
    } catch (...) {
      undo(record, places);
      throw;
    }
    base::log().info("boot {} of {} runs after {}", id.hex(), record.vm.machine_name,
                     base::format_duration_ms(record.vm.start_duration_ms));
    return describe(record, hypervisor_.state(record.vm.domain_name));
  }

  std::vector<InstantVm> list() {
    std::map<BootId, DomainState> domains = our_domains();
    std::vector<InstantVm> vms;
    for (const BootId& id : boots_in(settings_.state_directory)) {
      std::optional<BootRecord> record = find_record(id);
      if (!record) continue;
      auto known = domains.find(id);
      vms.push_back(describe(*record, known == domains.end() ? DomainState::off : known->second));
    }
    std::sort(vms.begin(), vms.end(), [](const InstantVm& a, const InstantVm& b) {
      return std::tie(a.started_ms, a.id) < std::tie(b.started_ms, b.id);
    });
    return vms;
  }

  InstantVm get(const BootId& id) {
    BootRecord record = open_record(id);
    return describe(record, hypervisor_.state(record.vm.domain_name));
  }

  void stop(const BootId& id, const StopOptions& options) {
    auto lock = lock_of(id);
    BootRecord record = open_record(id);
    BootPlaces places = places_of(id);
    if (options.shutdown_timeout_s != 0) wait_for_shutdown(record, options.shutdown_timeout_s);
    record.phase = Phase::stopping;
    record.keep_overlay = options.keep_overlay;
    write_record(base::real_file_system(), places, record);
    finish_stop(record, places);
    base::log().info("boot {} of {} is stopped", id.hex(), record.vm.machine_name);
  }

  InstantVm change(const BootId& id, const BootChanges& changes) {
    auto lock = lock_of(id);
    std::lock_guard<std::mutex> admission(admission_mutex_);
    BootRecord record = open_record(id);
    record.vm.restart = changes.restart.value_or(record.vm.restart);
    if (changes.timeline == Timeline::instant) {
      if (auto other = other_holder(record.vm)) {
        throw Error(ErrorCode::busy, fmt::format("the instant VM {} of {} holds its timeline",
                                                 other->id.hex(), record.vm.machine_name));
      }
    }
    record.vm.timeline = changes.timeline.value_or(record.vm.timeline);
    write_record(base::real_file_system(), places_of(id), record);
    return describe(record, hypervisor_.state(record.vm.domain_name));
  }

  std::vector<InstantVm> timeline_holders() {
    std::vector<InstantVm> holders;
    for (const BootId& id : boots_in(settings_.state_directory)) {
      std::optional<BootRecord> record = find_record(id);
      if (!record || record->vm.timeline != Timeline::instant) continue;
      if (record->phase == Phase::kept || record->phase == Phase::stopping) continue;
      holders.push_back(record->vm);
    }
    std::sort(holders.begin(), holders.end(), [](const InstantVm& a, const InstantVm& b) {
      return std::tie(a.started_ms, a.id) < std::tie(b.started_ms, b.id);
    });
    return holders;
  }

  std::vector<InstantVm> cut_off() {
    std::vector<InstantVm> found;
    for (const BootId& id : boots_in(settings_.state_directory)) {
      std::optional<BootRecord> record = find_record(id);
      if (!record || record->problem.empty()) continue;
      record->vm.problem = record->problem;
      found.push_back(record->vm);
    }
    return found;
  }

  void power(const BootId& id, PowerAction action) {
    auto lock = lock_of(id);
    BootRecord record = open_record(id);
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

  void pull(const BootId& id, const PullOptions& options) {
    BootRecord seen = open_record(id);
    if (seen.vm.is_local) return;
    uint64_t needed = room_to_pull(seen) + kFreeDiskToResume;
    for (const VmDisk& disk : seen.vm.disks)
      needed -= std::min(needed, used_bytes(disk.overlay_path));
    uint64_t free = free_bytes(settings_.state_directory);
    if (needed > free) {
      throw Error(
          ErrorCode::no_space,
          fmt::format("moving {} onto local storage may need {}, and {} are free in {}: free "
                      "some room first",
                      seen.vm.machine_name, base::format_size(needed), base::format_size(free),
                      settings_.state_directory));
    }
    auto with_record = [&](const std::function<void(BootRecord&, const BootPlaces&)>& action) {
      auto lock = lock_of(id);
      BootRecord record = open_record(id);
      action(record, places_of(id));
    };
    pull_disks(hypervisor_, with_record, options);
    base::log().info("boot {} of {} is local", id.hex(), seen.vm.machine_name);
  }

  AdoptReport adopt() {
    AdoptReport report;
    std::map<BootId, DomainState> domains = our_domains();
    for (const BootId& id : boots_in(settings_.state_directory)) {
      auto lock = lock_of(id);
      try {
        auto known = domains.find(id);
        adopt_one(id, known == domains.end() ? DomainState::off : known->second, report);
      } catch (const Error& error) {
        report.problems.push_back(fmt::format("Boot {}: {}", id.hex(), error.message()));
      }
    }
    std::vector<BootId> known = boots_in(settings_.state_directory);
    for (const DomainSummary& each : hypervisor_.list()) {
      bool ours = each.state_directory == settings_.state_directory;
      if (!ours || each.state != DomainState::off) continue;
      if (std::find(known.begin(), known.end(), each.boot) != known.end()) continue;
      hypervisor_.undefine(each.name);
      report.cleaned.push_back(
          fmt::format("Boot {}: the definition of a VM that is gone.", each.boot.hex()));
    }
    for (const BootId& id : boots_in(settings_.run_directory)) {
      if (std::find(known.begin(), known.end(), id) != known.end() || domains.contains(id))
        continue;
      BootPlaces places = places_of(id);
      end_export(places);
      remove_run_folder(places);
      report.cleaned.push_back(fmt::format("Boot {}: the rest of a VM that is gone.", id.hex()));
    }
    for (const auto& [id, state] : domains) {
      if (std::find(known.begin(), known.end(), id) != known.end()) continue;
      report.problems.push_back(
          fmt::format("Boot {} runs in libvirt, but its folder is gone.", id.hex()));
    }
    accelerator();  // tried now, so that the first start need not wait for it
    return report;
  }

  std::vector<std::string> tend() {
    std::vector<std::string> done;
    try {
      std::map<BootId, DomainState> domains = our_domains();
      std::vector<ExportProcess> exports =
          ExportProcess::find_below(base::join_path(settings_.run_directory, "vms"));
      for (const BootId& id : boots_in(settings_.state_directory)) {
        auto known = domains.find(id);
        bool exported = std::any_of(exports.begin(), exports.end(), [&](const ExportProcess& each) {
          return each.socket_path() == places_of(id).socket_path;
        });
        tend_one(id, known == domains.end() ? DomainState::off : known->second, exported, done);
      }
    } catch (const Error& error) {
      done.push_back(
          fmt::format("The instant VMs could not be looked after: {}.", error.message()));
    }
    return done;
  }

  BootRecord open_record(const BootId& id) {
    std::optional<BootRecord> record = find_record(id);
    if (!record)
      throw Error(ErrorCode::not_found, fmt::format("there is no instant VM {}", id.hex()));
    return *record;
  }

  BootPlaces places_of(const BootId& id) const {
    return boot_places(settings_.state_directory, settings_.run_directory, id);
  }

  Hypervisor& hypervisor() { return hypervisor_; }
  const TraceShelf& traces() const { return traces_; }

 private:
  // ---- start

  void write_first_record(const BootPlaces& places, const BootRecord& record) {
    try {
      make_boot_folders(places, settings_.qemu_group);
      write_record(base::real_file_system(), places, record);
      base::real_file_system().sync_directory(base::parent_path(places.folder));
    } catch (const Error&) {
      remove_boot_folders(places);
      throw;
    }
  }

  void bring_up(BootRecord& record, const Preparation& prepared, const StepCallback& step) {
    BootPlaces places = places_of(record.vm.id);
    const MachinePlan& plan = prepared.plan;
    step("Starting the export");
    start_export(record, places, ExportUse::first_boot);
    step("Making the overlays");
    for (const VmDisk& disk : record.vm.disks) {
      make_overlay(disk.overlay_path, places.socket_path, disk.name, disk.size,
                   is_instant(record) ? Tracking::on : Tracking::off);
    }
    const UefiFirmware* firmware = firmware_for(plan, prepared.facts);
    if (firmware != nullptr) make_uefi_variables(places, plan, *firmware);
    if (!plan.tpm_state.empty()) install_tpm_state(record.tpm_folder, plan.tpm_state);
    std::string xml = domain_xml(plan, record, {places, settings_.state_directory}, firmware);
    base::write_file_durably(base::real_file_system(), places.domain_path, base::as_bytes(xml));
    if (is_instant(record)) define_tracked(hypervisor_, record, xml, Overlays::fresh);
    step("Starting QEMU");
    run_domain(record, places, xml);
  }

  // Networks and the domain; used for the first start and for switching on again.
  void run_domain(BootRecord& record, const BootPlaces& places, const std::string& xml) {
    for (const VmNetworkCard& card : record.vm.network_cards) {
      if (card.mode != NetworkMode::bridge) hypervisor_.ensure_network({card.source, card.mode});
    }
    hypervisor_.start(xml);
    if (record.vm.is_local) return;
    std::vector<BackingExport> exports;
    for (const VmDisk& disk : record.vm.disks) {
      exports.push_back({disk.name, places.socket_path, disk.name, settings_.export_patience_s});
    }
    try {
      hypervisor_.make_exports_patient(record.vm.domain_name, exports);
    } catch (const Error& error) {
      // It runs all the same: should its export die, it pauses until tend() lets it go on.
      base::log().warn("boot {}: {}", record.vm.id.hex(), error.message());
    }
  }

  void start_export(const BootRecord& record, const BootPlaces& places, ExportUse use) {
    images::ExportOptions options;
    options.store_directory = record.vm.store_directory;
    options.point = record.vm.point.hex();
    for (const VmDisk& disk : record.vm.disks) options.disks.push_back(disk.name);
    options.key_file_path = record.key_file_path;
    options.passphrase_file_path = record.passphrase_file_path;
    options.socket_path = places.socket_path;
    options.socket_group = settings_.qemu_group;
    options.log_path = places.log_path;
    options.plugin_path = settings_.plugin_path;
    options.plugin_command = settings_.export_command;
    options.thread_count = settings_.export_thread_count;
    options.cache_size = settings_.export_cache_size;
    options.disk_cache_size = settings_.export_disk_cache_size;
    options.cache_directory = places.folder;
    if (use == ExportUse::first_boot && !settings_.trace_directory.empty())
      options.record_trace_path = places.trace_path;
    if (use != ExportUse::running) options.prefetch_trace_path = traces_.find(record.trace_key);
    options.lifetime = base::Lifetime::independent;
    ExportProcess::start(options);
  }

  // By a person, who says that all earlier trouble is over.
  void power_on(BootRecord& record) {
    std::vector<std::string> conflicts = conflicts_of(record, active_vms(), hypervisor_);
    if (!conflicts.empty()) throw Error(ErrorCode::busy, join_reasons(conflicts));
    BootPlaces places = places_of(record.vm.id);
    BootRecord before = record;
    record.phase = Phase::started;
    record.problem.clear();
    record.failed_restarts = 0;
    record.vm.is_pulling = false;
    if (before.phase == Phase::kept) yield_timeline(record);
    try {
      start_again(record, places);
    } catch (const Error&) {
      if (hypervisor_.state(record.vm.domain_name) == DomainState::off)
        write_record(base::real_file_system(), places, before);
      throw;
    }
  }

  void power_off(BootRecord& record) {
    BootRecord before = record;
    record.phase = Phase::ended;  // durable before the end, so that nobody starts it again
    write_record(base::real_file_system(), places_of(record.vm.id), record);
    try {
      hypervisor_.destroy(record.vm.domain_name);
    } catch (const Error&) {
      write_record(base::real_file_system(), places_of(record.vm.id), before);
      throw;
    }
  }

  // From its overlays, whatever became of export, run folder and QEMU. The record is saved.
  void start_again(BootRecord& record, const BootPlaces& places) {
    std::lock_guard<std::mutex> admission(admission_mutex_);
    uint64_t room = free_memory(hypervisor_.facts(), promised_memory());
    if (record.vm.memory_size > room) {
      throw Error(ErrorCode::unavailable,
                  fmt::format("it needs {} of memory, {} are free",
                              base::format_size(record.vm.memory_size), base::format_size(room)));
    }
    make_boot_folders(places, settings_.qemu_group);
    for (const VmDisk& disk : record.vm.disks) repair_overlay(disk.overlay_path);
    std::string xml(base::as_text(
        base::read_file(base::real_file_system(), places.domain_path, kDomainXmlLimit)));
    if (!record.vm.is_local && !ExportProcess::find(places.socket_path))
      start_export(record, places, ExportUse::reboot);
    if (is_instant(record)) define_tracked(hypervisor_, record, xml, Overlays::used);
    write_record(base::real_file_system(), places, record);
    run_domain(record, places, xml);
  }

  // One machine, one truth: a VM beside one that holds the machine's timeline does not.
  void yield_timeline(BootRecord& record) {
    if (record.vm.timeline != Timeline::instant) return;
    auto other = other_holder(record.vm);
    if (!other) return;
    record.vm.timeline = Timeline::production;
    record.vm.notes.push_back(fmt::format(
        "It is not protected: the instant VM {} holds the machine's timeline.", other->id.hex()));
  }

  std::optional<InstantVm> other_holder(const InstantVm& vm) {
    for (const InstantVm& each : timeline_holders()) {
      bool same =
          each.machine_name == vm.machine_name && each.store_directory == vm.store_directory;
      if (same && each.id != vm.id) return each;
    }
    return std::nullopt;
  }

  static bool is_instant(const BootRecord& record) { return record.vm.purpose == Purpose::instant; }

  // ---- stop

  void wait_for_shutdown(const BootRecord& record, uint32_t timeout_s) {
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

  void finish_stop(BootRecord& record, const BootPlaces& places) {
    hypervisor_.destroy(record.vm.domain_name);
    end_export(places);
    remove_unused_networks(record);
    traces_.take(record.trace_key, places.trace_path);
    if (!record.keep_overlay) {
      hypervisor_.undefine(record.vm.domain_name);
      if (!record.tpm_folder.empty()) remove_tpm_folder(record.tpm_folder);
      remove_boot_folders(places);
      return;
    }
    remove_run_folder(places);
    record.phase = Phase::kept;
    write_record(base::real_file_system(), places, record);
  }

  // Isolated networks are made for a recovery, and go with its last VM.
  void remove_unused_networks(const BootRecord& record) {
    std::lock_guard<std::mutex> admission(admission_mutex_);  // nobody joins one meanwhile
    for (const VmNetworkCard& card : record.vm.network_cards) {
      if (card.mode != NetworkMode::isolated) continue;
      bool used = false;
      for (const InstantVm& vm : active_vms()) {
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

  void end_export(const BootPlaces& places) {
    if (auto process = ExportProcess::find(places.socket_path)) process->stop();
  }

  // After a failed start. What cannot be undone now is left to adopt().
  void undo(BootRecord& record, const BootPlaces& places) {
    try {
      record.keep_overlay = false;
      finish_stop(record, places);
    } catch (const Error& error) {
      base::log().error("boot {} could not be cleaned away: {}", record.vm.id.hex(),
                        error.message());
    }
  }

  // ---- finding

  std::mutex& mutex_of(const BootId& id) {
    auto mutexes = mutexes_.lock();
    std::unique_ptr<std::mutex>& mutex = (*mutexes)[id];
    if (!mutex) mutex = std::make_unique<std::mutex>();
    return *mutex;
  }
  // Held for the whole of an operation on one VM, I/O included: that is its purpose.
  std::unique_lock<std::mutex> lock_of(const BootId& id) {
    return std::unique_lock<std::mutex>(mutex_of(id));
  }

  std::optional<BootRecord> find_record(const BootId& id) {
    try {
      return read_record(base::real_file_system(), places_of(id));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::not_found) return std::nullopt;
      base::log().error("{}", error.message());
      return std::nullopt;
    }
  }

  std::map<BootId, DomainState> our_domains() {
    std::map<BootId, DomainState> domains;
    for (const DomainSummary& each : hypervisor_.list()) {
      if (each.state_directory == settings_.state_directory && each.state != DomainState::off)
        domains[each.boot] = each.state;
    }
    return domains;
  }

  // VMs that run or are being started.
  std::vector<InstantVm> active_vms() {
    std::map<BootId, DomainState> domains = our_domains();
    std::vector<InstantVm> active;
    for (const BootId& id : boots_in(settings_.state_directory)) {
      std::optional<BootRecord> record = find_record(id);
      if (record && (domains.contains(id) || record->phase == Phase::starting))
        active.push_back(record->vm);
    }
    return active;
  }

  uint64_t promised_memory() {
    uint64_t sum = 0;
    for (const InstantVm& vm : active_vms()) sum += vm.memory_size;
    return sum;
  }

  InstantVm describe(const BootRecord& record, DomainState domain) {
    InstantVm vm = record.vm;
    vm.state = state_of(record.phase, domain);
    if (domain == DomainState::off) vm.problem = record.problem;
    if (domain == DomainState::paused_by_io_error) {
      bool full = free_bytes(settings_.state_directory) < kFreeDiskToResume;
      vm.problem = full ? "The appliance's disk is full: the VM waits for room."
                        : "Its disk did not answer.";
    }
    for (VmDisk& disk : vm.disks) disk.overlay_size = used_bytes(disk.overlay_path);
    if (domain != DomainState::off) {
      try {
        vm.console = read_console(hypervisor_.domain_xml(vm.domain_name));
      } catch (const Error& error) {
        if (error.code() != ErrorCode::not_found) throw;  // it has ended in this moment
      }
    }
    vm.console.password = record.console_password;
    return vm;
  }

  // ---- adopt and tend

  void adopt_one(const BootId& id, DomainState domain, AdoptReport& report) {
    BootPlaces places = places_of(id);
    bool runs = domain != DomainState::off;
    std::optional<BootRecord> record = find_record(id);
    if (!record && !runs && !base::real_file_system().exists(places.record_path)) {
      end_export(places);
      remove_boot_folders(places);
      report.cleaned.push_back(fmt::format("Boot {}: a start that had just begun.", id.hex()));
      return;
    }
    if (!record) throw Error(ErrorCode::corrupt, places.record_path + " cannot be read");
    if (record->phase == Phase::stopping || (record->phase == Phase::starting && !runs)) {
      bool was_start = record->phase == Phase::starting;
      finish_stop(*record, places);
      report.cleaned.push_back(fmt::format("Boot {} of {}: a {} that was cut off.", id.hex(),
                                           record->vm.machine_name, was_start ? "start" : "stop"));
      return;
    }
    if (record->phase == Phase::starting) {
      record->phase = Phase::started;
      write_record(base::real_file_system(), places, *record);
    }
    if (runs) {
      report.running.push_back(describe(*record, domain));
      return;
    }
    if (record->phase == Phase::started) {
      DomainEnd end = hypervisor_.last_end(record->vm.domain_name);
      if (after_end(*record, end, base::now_ms()) != AfterEnd::rest) {
        report.cut_off.push_back(describe(*record, domain));
        return;
      }
      record->phase = Phase::ended;
      write_record(base::real_file_system(), places, *record);
    }
    end_export(places);
    remove_run_folder(places);
    report.resting.push_back(describe(*record, domain));
  }

  void tend_one(const BootId& id, DomainState domain, bool exported,
                std::vector<std::string>& done) {
    std::unique_lock<std::mutex> lock(mutex_of(id), std::try_to_lock);
    if (!lock) return;  // somebody works on it
    std::optional<BootRecord> record = find_record(id);
    if (!record || record->phase != Phase::started) return;
    // What was seen before the lock was taken may be over.
    if (hypervisor_.state(record->vm.domain_name) != domain) return;
    BootPlaces places = places_of(id);
    const std::string& machine = record->vm.machine_name;
    traces_.take(record->trace_key, places.trace_path);
    try {
      if (domain == DomainState::off) {
        tend_ended(*record, places, done);
        return;
      }
      uint64_t settled_ms = record->vm.restarted_ms.value_or(0) + kSettledAfterMs;
      if (record->failed_restarts > 0 && base::now_ms() > settled_ms) {
        record->failed_restarts = 0;
        write_record(base::real_file_system(), places, *record);
      }
      if (record->vm.is_local) {
        if (exported) end_export(places);
      } else if (!exported && !ExportProcess::find(places.socket_path)) {
        start_export(*record, places, ExportUse::running);
        done.push_back(fmt::format("The export of {} had died; it runs again.", machine));
      }
      if (domain == DomainState::paused_by_io_error) let_go_on(*record, done);
    } catch (const Error& error) {
      done.push_back(fmt::format("The VM of {} needs help: {}.", machine, error.message()));
    }
  }

  void tend_ended(BootRecord& record, const BootPlaces& places, std::vector<std::string>& done) {
    const std::string& machine = record.vm.machine_name;
    AfterEnd next = after_end(record, hypervisor_.last_end(record.vm.domain_name), base::now_ms());
    if (next == AfterEnd::later) return;
    if (next == AfterEnd::restart) {
      restart(record, places, done);
      return;
    }
    if (next == AfterEnd::wait) record.problem = "It was cut off, and waits to be powered on.";
    record.phase = Phase::ended;
    write_record(base::real_file_system(), places, record);
    end_export(places);
    done.push_back(next == AfterEnd::rest
                       ? fmt::format("The VM of {} has ended; its export is ended too.", machine)
                       : fmt::format("The VM of {} stays off. {}", machine, record.problem));
  }

  void restart(BootRecord& record, const BootPlaces& places, std::vector<std::string>& done) {
    const std::string& machine = record.vm.machine_name;
    count_attempt(record, base::now_ms());
    write_record(base::real_file_system(), places, record);
    BootRecord again = record;
    again.vm.restarted_ms = base::now_ms();
    ++again.vm.restart_count;
    again.problem.clear();
    try {
      start_again(again, places);
      record = again;
      done.push_back(fmt::format("The VM of {} had been cut off; it is started again.", machine));
    } catch (const Error& error) {
      bool last = record.failed_restarts >= kMaxFailedRestarts;
      // A damaged overlay does not heal by waiting.
      if (error.code() == ErrorCode::corrupt) record.failed_restarts = kMaxFailedRestarts;
      record.problem = fmt::format(
          "It was cut off and cannot be started again (attempt {} of {}{}): {}.",
          record.failed_restarts, kMaxFailedRestarts, last ? ", the last" : "", error.message());
      done.push_back(fmt::format("The VM of {}: {}", machine, record.problem));
    }
    write_record(base::real_file_system(), places, record);
  }

  void let_go_on(const BootRecord& record, std::vector<std::string>& done) {
    if (free_bytes(settings_.state_directory) < kFreeDiskToResume) return;
    {
      auto last = last_resume_.lock();
      auto [place, is_new] = last->try_emplace(record.vm.id, Clock::now());
      if (!is_new && Clock::now() - place->second < kResumeInterval) return;
      place->second = Clock::now();
    }
    hypervisor_.resume(record.vm.domain_name);
    done.push_back(
        fmt::format("The VM of {} had stopped for its disk; it goes on.", record.vm.machine_name));
  }

  const BootSettings settings_;
  Hypervisor& hypervisor_;
  const TraceShelf traces_;
  std::mutex trial_mutex_;  // held during the KVM trial: two at once would disturb each other
  std::mutex
      admission_mutex_;  // held from counting the promised memory until the record promises it
  base::Guarded<std::map<BootId, std::unique_ptr<std::mutex>>> mutexes_;
  base::Guarded<std::map<BootId, Clock::time_point>> last_resume_;
};

BootService::BootService(BootSettings settings, Hypervisor& hypervisor)
    : implementation_(std::make_unique<Implementation>(std::move(settings), hypervisor)) {}
BootService::~BootService() = default;

AcceleratorVerdict BootService::accelerator() { return implementation_->accelerator(); }

BootCheck BootService::check(const PointSource& source, const images::PointId& point,
                             const BootOptions& options) {
  Preparation prepared = implementation_->prepare(source, point, options);
  return {std::move(prepared.plan), prepared.point.machine_name, accelerator()};
}

InstantVm BootService::start(const PointSource& source, const images::PointId& point,
                             const BootOptions& options, const StepCallback& on_step) {
  return implementation_->start(source, point, options, on_step);
}

std::vector<InstantVm> BootService::list() { return implementation_->list(); }
InstantVm BootService::get(const BootId& id) { return implementation_->get(id); }

BootId BootService::find(std::string_view selector) {
  std::vector<BootId> matches;
  for (const InstantVm& vm : implementation_->list()) {
    if (vm.id.hex() == selector) return vm.id;
    bool prefix = selector.size() >= 4 && vm.id.hex().starts_with(selector);
    if (prefix || vm.machine_name == selector || vm.domain_name == selector)
      matches.push_back(vm.id);
  }
  if (matches.empty())
    throw Error(ErrorCode::not_found, fmt::format("there is no instant VM '{}'", selector));
  if (matches.size() > 1) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("'{}' means {} instant VMs: give the id of one", selector, matches.size()));
  }
  return matches.front();
}

void BootService::stop(const BootId& id, const StopOptions& options) {
  implementation_->stop(id, options);
}
void BootService::power(const BootId& id, PowerAction action) {
  implementation_->power(id, action);
}

InstantVm BootService::change(const BootId& id, const BootChanges& changes) {
  return implementation_->change(id, changes);
}
std::vector<InstantVm> BootService::timeline_holders() {
  return implementation_->timeline_holders();
}

std::vector<InstantVm> BootService::cut_off() { return implementation_->cut_off(); }

Screenshot BootService::screenshot(const BootId& id) {
  BootRecord record = implementation_->open_record(id);
  if (implementation_->hypervisor().state(record.vm.domain_name) == DomainState::off) {
    throw Error(ErrorCode::busy, record.vm.domain_name + " does not run");
  }
  return implementation_->hypervisor().screenshot(record.vm.domain_name);
}

std::vector<std::string> BootService::addresses(const BootId& id) {
  BootRecord record = implementation_->open_record(id);
  return implementation_->hypervisor().addresses(record.vm.domain_name);
}

std::string BootService::serial_log(const BootId& id, uint64_t offset, uint64_t limit) {
  implementation_->open_record(id);
  constexpr uint64_t kLimit = 16 << 20;
  return read_part(implementation_->places_of(id).serial_path, offset, std::min(limit, kLimit));
}

void BootService::pull(const BootId& id, const PullOptions& options) {
  implementation_->pull(id, options);
}

void BootService::served(const BootId& id) {
  std::string path = images::trace_end_path(implementation_->places_of(id).trace_path);
  try {
    if (!base::real_file_system().exists(path)) base::real_file_system().create(path);
  } catch (const Error& error) {
    base::log().debug("boot {}: {}", id.hex(), error.message());  // it ends in this moment
  }
}

void BootService::forget_traces(const images::StoreId& store, const images::MachineId& machine) {
  implementation_->traces().forget(TraceShelf::key(store, machine));
}

AdoptReport BootService::adopt() { return implementation_->adopt(); }
std::vector<std::string> BootService::tend() { return implementation_->tend(); }

}  // namespace appliance::boot
